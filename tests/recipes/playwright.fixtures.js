// A fixture for Playwright, for a dashboard whose backend calls BuildMaster: each worker has a
// session of its own. Start the worker's backend with `mockSession.apiKey`; a test begins with
// `await mockSession.scenario("empty")`. Import `test` and `expect` from this file.
const base = require("@playwright/test");

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

exports.expect = base.expect;
exports.test = base.test.extend({
  mockSession: [async ({}, use, worker) => {
    const label = `worker ${worker.workerIndex}`;
    const session = await (await admin("/__admin/sessions", "POST", { label })).json();
    await use({
      apiKey: session.apiKey,
      scenario: (name) => admin(session.links.scenario, "PUT", { name }),
    });
    await admin(session.links.self, "DELETE");
  }, { scope: "worker" }],
});
