// Tests of a running mock: `node --test with-node.js`, with Node.js 18 or later.
// MOCKBM_URL is its address, and MOCKBM_ADMIN_TOKEN its admin token, where it has one.
const { test, before, after } = require("node:test");
const assert = require("node:assert");

const mock = process.env.MOCKBM_URL ?? "http://127.0.0.1:8080";
const token = process.env.MOCKBM_ADMIN_TOKEN;
const admin = (path, method, body) =>
  fetch(mock + path, {
    method,
    headers: {
      "Content-Type": "application/json",
      ...(token && { Authorization: `Bearer ${token}` }),
    },
    body: body && JSON.stringify(body),
  });
const releases = async (key) =>
  (await fetch(`${mock}/api/releases`, { headers: { "X-ApiKey": key } })).json();
let session;

before(async () => {
  const opened = await admin("/__admin/sessions", "POST", { scenario: "documented" });
  session = await opened.json();
});
after(() => admin(session.links.self, "DELETE"));

test("switching", async () => {
  assert.equal((await releases(session.apiKey)).length, 7);
  await admin(session.links.scenario, "PUT", { name: "empty" });
  assert.deepEqual(await releases(session.apiKey), []);
});
