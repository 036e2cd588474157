// The page asks the admin API once a second what there is, and shows it. Whatever comes from there
// may hold anything at all, so it becomes text and attributes only: never HTML, never a script.

const HERE = new URL(".", location.href); // .../__admin/
const PERIOD = 1000; // milliseconds from one look to the next
const KEPT = 300; // requests that the journal shows
const STATUSES = ["active", "deployed", "canceled"];
const TOKEN = "mockbm-token";

const byId = (id) => document.getElementById(id);

let token = sessionStorage.getItem(TOKEN);
let chosen = ""; // the id of the session that is looked at; "" is the default one
let loaded = null; // when the files were read that `scenarios` are of
let scenarios = [];
let active = null;
let entries = []; // of the journal, oldest first

// ---- asking -------------------------------------------------------------------------------------

class Refusal extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

async function call(method, path, body) {
  const headers = { Accept: "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const answer = await fetch(new URL(path, HERE), {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
    cache: "no-store",
  });
  if (answer.status === 204) return null;
  const told = await answer.json().catch(() => ({ detail: `${answer.status}, and no JSON` }));
  if (!answer.ok) throw new Refusal(answer.status, told.detail);
  return told;
}

/** The path of a call about the session that is looked at. */
const own = (name, session = chosen) =>
  session ? `sessions/${encodeURIComponent(session)}/${name}` : name;

/** Do what a button says, tell what came of it, and look at once. */
async function act(said, ...request) {
  try {
    await call(...request);
    say(said);
  } catch (error) {
    if (error.status !== 401) say(error.message, true);
  }
  return look();
}

let looking = Promise.resolve();
let timer = 0;

/** Look now, or right after the look that is under way, which may be older than what was done. */
function look() {
  looking = looking.then(lookOnce);
  return looking;
}

async function lookOnce() {
  clearTimeout(timer);
  const begun = performance.now();
  try {
    await update();
    connected(true);
  } catch (error) {
    if (error.status === 401) askForToken();
    else if (error.status === 404 && chosen) leave();
    else connected(false, error);
  }
  // A mock that is slow to answer, or far away, is asked less often; a hidden page asks nothing.
  const pause = Math.min(Math.max(PERIOD, 4 * (performance.now() - begun)), 3 * PERIOD);
  if (!document.hidden && byId("ask").hidden) timer = setTimeout(look, pause);
}

async function update() {
  const session = chosen;
  const [health, sessions, now, clock, news] = await Promise.all([
    call("GET", "health"),
    call("GET", "sessions"),
    call("GET", own("scenario", session)),
    call("GET", own("clock", session)),
    journalSince(entries.at(-1), session),
  ]);
  if (health.loaded !== loaded) {
    const told = (await call("GET", "scenarios")).scenarios;
    scenarios = told.map(({ active: _, ...item }) => ({ ...item, key: JSON.stringify(item) }));
    loaded = health.loaded;
  }
  if (session !== chosen) return; // another one was chosen meanwhile
  active = now;
  showHealth(health);
  showSessions(health, sessions.sessions);
  showActive();
  showCards();
  showClock(clock);
  if (news !== entries) {
    entries = news;
    showEntries();
  }
}

/** The journal. Asked for from the last known entry on: where that one is not the first to come,
 * the journal was emptied, begun anew or overrun, and is taken as it is now. */
async function journalSince(last, session) {
  const path = own(`requests?count=${KEPT}`, session);
  if (last) {
    const found = (await call("GET", `${path}&after=${last.number - 1}`)).requests;
    if (found[0]?.number === last.number && found[0].time === last.time) {
      return found.length > 1 ? entries.concat(found.slice(1)).slice(-KEPT) : entries;
    }
  }
  const all = (await call("GET", path)).requests;
  return all.length || entries.length ? all : entries;
}

// ---- showing ------------------------------------------------------------------------------------

function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children); // strings become text
  return node;
}

function shape(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** A text from outside: its direction and its odd letters end where it ends. */
const alien = (text, tag = "bdi", className = "") => make(tag, { dir: "auto", className }, text);

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Show one element for each item, keeping those that are there: so that nobody loses the focus or
 * an open row because something else has changed. `build` makes {node, update?} of an item. */
function keep(parent, items, keyOf, build) {
  const before = parent.kept ?? new Map();
  const after = new Map();
  for (const item of items) {
    const key = keyOf(item);
    const shown = before.get(key) ?? build(item);
    const told = JSON.stringify(item);
    if (shown.told !== told) shown.update?.(item);
    shown.told = told;
    after.set(key, shown);
  }
  for (const [key, shown] of before) if (!after.has(key)) shown.node.remove();
  let next = parent.firstElementChild;
  for (const { node } of after.values()) {
    if (node === next) next = next.nextElementSibling;
    else parent.insertBefore(node, next);
  }
  parent.kept = after;
}

const counted = (count, word) =>
  `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;

let silence = 0;

function say(text, isError = false) {
  const said = byId("said");
  said.className = isError ? "error" : "";
  said.textContent = text;
  clearTimeout(silence);
  silence = setTimeout(() => (said.textContent = ""), isError ? 15000 : 5000);
}

function connected(isThere, error) {
  const live = byId("live");
  setText(live, isThere ? "live" : "no answer");
  live.classList.toggle("bad", !isThere);
  byId("lost").hidden = isThere;
  if (!isThere) {
    const why = error instanceof Refusal ? error.message : "no answer; is it still running?";
    setText(byId("lost"), `The mock: ${why}`);
  }
}

function showHealth(health) {
  byId("ask").hidden = true;
  byId("main").hidden = false;
  const since = new Date(Date.now() - health.uptime * 1000).toLocaleString();
  setText(byId("about"), `${health.version} at ${location.host}, since ${since}`);
  byId("problems").hidden = !health.problems.length;
  const build = (text) => ({ node: alien(text, "li") });
  keep(byId("problem-list"), health.problems, (text) => text, build);
}

function showSessions(health, opened) {
  const main = { id: "", label: "default", scenario: health.scenario, revision: health.revision };
  const items = [main, ...opened].map((item) => ({ ...item, isChosen: item.id === chosen }));
  keep(byId("sessions"), items, (item) => item.id, buildSession);
  const one = items.find((item) => item.isChosen);
  setText(byId("now-title"), chosen ? `Active in ${one?.label || chosen}` : "Active");
}

function buildSession(item) {
  const name = item.label || item.id;
  const pick = make("button", { type: "button", className: "pick" }, alien(name));
  const scenario = alien("", "span", "muted");
  const node = make("li", {}, pick, scenario);
  pick.onclick = () => choose(item.id);
  if (item.id) {
    const end = make("button", { type: "button", "aria-label": `End ${name}` }, "End");
    end.onclick = () => {
      byId("sessions-title").focus(); // the button is about to go
      if (item.id === chosen) choose("");
      act(`${name} has ended`, "DELETE", `sessions/${item.id}`);
    };
    node.append(end);
  }
  const update = (now) => {
    setText(scenario, now.scenario);
    pick.setAttribute("aria-pressed", now.isChosen);
  };
  return { node, update };
}

function choose(id) {
  chosen = id;
  entries = [];
  showEntries();
  look();
}

function leave() {
  say("That session has ended; this is the default one again.", true);
  choose("");
}

function showActive() {
  const { run, faults = [], changes = [] } = active;
  setText(byId("now-name"), active.name);
  setText(byId("now-what"), active.description);
  const revision = `revision ${active.revision}`;
  const seconds = run && `, ${counted(run.calls, "call")} in ${run.seconds.toFixed(0)} s`;
  setText(byId("now-run"), revision + (seconds ?? ""));
  byId("faults-title").hidden = !faults.length;
  byId("changes-title").hidden = !changes.length;
  setText(byId("changes-title"), changes.length < 100 ? "Changes" : "The first 100 changes");
  const numbered = (list) => list.map((item, number) => ({ ...item, number: `${number}` }));
  keep(byId("faults"), numbered(faults), (item) => item.number + item.fault, buildFault);
  const keyOf = ({ happened: _, ...item }) => JSON.stringify(item);
  keep(byId("changes"), numbered(changes.map(asChange)), keyOf, buildChange);
}

function buildFault(item) {
  const met = make("span", { className: "count" });
  const node = make("li", {}, alien(item.fault, "span"), met);
  const update = (now) => {
    setText(met, `met ${now.met}${now.over ? ", over" : ""}`);
    node.classList.toggle("over", now.over);
  };
  return { node, update };
}

const asChange = ({ number: release, ...change }) => ({ ...change, release });

function buildChange(item) {
  const sets = Object.entries(item.sets).map(
    ([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
  const state = make("span", { className: "count" });
  const release = alien(`${item.applicationName} ${item.release}`);
  const text = make("span", {}, release, `, after ${item.after}: `, alien(sets.join(", ")));
  const node = make("li", {}, text, state);
  const update = (now) => {
    setText(state, now.happened ? "has happened" : "to come");
    node.classList.toggle("over", now.happened);
  };
  return { node, update };
}

function showClock(clock) {
  setText(byId("clock-now"), clock.now.replace("T", " ").replace(/\.\d+Z/, " UTC"));
  setText(byId("clock-kind"), clock.set ? "stands still" : "runs");
}

// ---- scenarios ----------------------------------------------------------------------------------

function showCards() {
  const wanted = byId("search").value.toLowerCase().split(/\s+/);
  const found = scenarios.filter((item) => {
    const names = item.applications.map((application) => application.name);
    const text = [item.name, item.description, ...item.faults, ...names].join(" ").toLowerCase();
    return wanted.every((word) => text.includes(word));
  });
  const items = found.map((item) => ({ ...item, active: item.name === active?.name }));
  keep(byId("cards"), items, (item) => item.key, buildCard);
  byId("no-cards").hidden = items.length > 0;
}

function buildCard(item) {
  const { name } = item;
  const title = `card-${name}`; // of letters, digits and ._- only: so are names of scenarios
  const badge = make("span", { className: "badge" }, "active");
  const use = make("button", { type: "button", className: "main", "aria-describedby": title });
  use.onclick = () => act(`${name} is now active`, "PUT", own("scenario"), { name });
  const head = make("h3", { id: title }, alien(name));
  const node = make("li", { className: "card", "aria-labelledby": title });
  node.append(make("div", { className: "title" }, head, badge));
  const what = alien(item.description, "p", "what");
  what.title = item.description; // it is cut after two lines
  const facts = make("div", {}, counts(item), applications(item));
  node.append(what, make("div", { className: "holds" }, picture(item), facts));
  const { line, copy } = curl(item);
  node.append(line, make("div", { className: "row" }, use, ...copy));
  const update = (now) => {
    node.classList.toggle("is-active", now.active);
    node.setAttribute("aria-current", now.active);
    badge.hidden = !now.active;
    setText(use, now.active ? "Begin anew" : "Switch");
  };
  return { node, update };
}

/** A column for each application, of one block for each release, or of one for each status. */
function picture({ name, statuses, applications, applicationCount }) {
  const shown = applications.slice(0, 24);
  const sizes = shown.map((one) => STATUSES.reduce((sum, status) => sum + one.statuses[status], 0));
  const most = Math.max(4, ...sizes);
  const [height, wide] = [36, 12];
  const width = Math.max(shown.length, 3) * wide;
  const unit = height / most;
  const columns = shown.map((one, column) => {
    const tip = shape("title", {}, `${one.name}: ${inWords(one.statuses)}`);
    const group = shape("g", { transform: `translate(${column * wide})` }, tip);
    let top = height;
    for (const status of STATUSES) {
      const count = one.statuses[status];
      const blocks = most <= 8 ? count : Math.min(count, 1);
      for (let block = 0; block < blocks; block += 1) {
        const size = (unit * count) / blocks;
        top -= size;
        const high = Math.max(size - 1.5, 1);
        const corner = { x: 0.75, y: top + 0.75, width: wide - 2.5, height: high, rx: 1.5 };
        group.append(shape("rect", { class: status, ...corner }));
      }
    }
    return group;
  });
  const about = `${name}: ${inWords(statuses)}, of ${counted(applicationCount, "application")}`;
  const box = { viewBox: `0 0 ${width} ${height + 1}`, width, height: height + 1 };
  const floor = shape("path", { class: "floor", d: `M0 ${height + 0.5}H${width}` });
  const described = { class: "picture", role: "img", "aria-label": about };
  return shape("svg", { ...described, preserveAspectRatio: "none", ...box }, ...columns, floor);
}

function inWords(statuses) {
  const there = STATUSES.filter((status) => statuses[status]);
  return there.map((status) => `${statuses[status]} ${status}`).join(", ") || "no releases";
}

/** How many of each status; the words are in the picture's name and in the legend. */
function counts({ statuses, faults, changes }) {
  const line = make("p", { className: "facts" });
  for (const status of STATUSES.filter((one) => statuses[one])) {
    const count = statuses[status].toLocaleString("en");
    line.append(make("span", { className: status, title: status }, count), " ");
  }
  if (!line.hasChildNodes()) line.append("no releases");
  const tag = (text, title) => line.append(make("span", { className: "tag", title }, text), " ");
  if (faults.length) tag(counted(faults.length, "fault"), faults.join("; "));
  if (changes) tag(counted(changes, "change"), "Releases change while it is active");
  return line;
}

function applications({ applications: all, applicationCount }) {
  const more = applicationCount > 3 ? ` and ${applicationCount - 3} more` : "";
  const names = all.slice(0, 3).map((one) => alien(one.name));
  const list = names.flatMap((one, place) => (place ? [", ", one] : [one]));
  return make("p", { className: "names muted" }, ...list, more);
}

/** The line that asks this scenario, whatever is active, and a button that copies it. */
function curl({ name, apiKeys }) {
  if (!apiKeys.length) {
    return { line: make("p", { className: "curl" }, "It accepts no API key."), copy: [] };
  }
  const url = new URL("../api/releases", HERE).href; // where the mock is for whoever sees the page
  const key = apiKeys.find((one) => /^[!-~]+$/.test(one));
  const text = key
    ? `curl -s -H ${quoted(`X-ApiKey: ${key}@${name}`)} ${quoted(url)}`
    : `curl -s ${quoted(`${url}?key=${encodeURIComponent(`${apiKeys[0]}@${name}`)}`)}`;
  const line = make("code", { className: "curl", tabIndex: 0, title: text }, text);
  const described = { type: "button", "aria-describedby": `card-${name}` };
  const button = make("button", described, "Copy curl");
  button.onclick = () => copyText(line, `The curl line of ${name} is copied`);
  return { line, copy: [button] };
}

/** In quotes in which a shell leaves every letter as it is. */
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

async function copyText(node, said) {
  try {
    await navigator.clipboard.writeText(node.textContent);
    say(said);
  } catch {
    // No clipboard on a plain HTTP page that is not of this machine, or not allowed.
    getSelection().selectAllChildren(node);
    if (document.execCommand("copy")) say(said);
    else say("The line is selected; copy it with Ctrl-C.");
  }
}

// ---- the journal --------------------------------------------------------------------------------

function showEntries() {
  const wanted = byId("filter").value.toLowerCase().split(/\s+/);
  const status = byId("status").value;
  const found = entries.filter((entry) => {
    const sent = Object.entries(entry.parameters).map(([name, value]) => `${name}=${value}`);
    const { number, method, path, scenario, explanation, notes } = entry;
    const parts = [`#${number}`, entry.status, method, path, ...sent, scenario, explanation];
    const text = [...parts, ...notes].join(" ").toLowerCase();
    const first = String(Math.floor(entry.status / 100));
    return (!status || status === first) && wanted.every((word) => text.includes(word));
  });
  keep(byId("entries"), found.reverse(), (entry) => `${entry.number} ${entry.time}`, buildEntry);
  const all = entries.length;
  setText(byId("journal-count"), found.length === all ? `${all}` : `${found.length} of ${all}`);
  byId("no-entries").hidden = all > 0;
}

function buildEntry(entry) {
  const kind = entry.status ? `s${Math.floor(entry.status / 100)}` : "s5";
  const asked = make("span", { className: "asked" }, `${entry.method} `, alien(entry.path));
  for (const [name, value] of Object.entries(entry.parameters)) {
    asked.append(" ", alien(`${name}=${value}`, "code"));
  }
  const head = make("summary", {});
  head.append(make("time", { title: entry.time }, entry.time.slice(11, 19)));
  const status = entry.status ? `${entry.status}` : "none";
  head.append(make("span", { className: `status ${kind}` }, status));
  head.append(asked, alien(entry.scenario, "span", "from muted"));
  head.append(alien(entry.explanation, "span", "why"));
  const row = make("details", {}, head);
  row.addEventListener("toggle", () => row.append(details(entry)), { once: true });
  return { node: make("li", {}, row) };
}

function details(entry) {
  const list = make("dl");
  const tell = (name, ...what) => list.append(make("dt", {}, name), make("dd", {}, ...what));
  tell("Answer", ...answerOf(entry));
  const places = Object.entries(entry.places).map(([name, place]) => `${name}: ${place}`);
  if (places.length) tell("Sent in", alien(places.join(", ")));
  if (entry.ignored.length) tell("Ignored", alien(entry.ignored.join(", ")));
  if (entry.notes.length) tell("Notes", alien(entry.notes.join("; ")));
  const { number, time, revision } = entry;
  const took = `${(entry.duration * 1000).toFixed(1)} ms`;
  tell("Request", `#${number} at ${time}, answered in ${took}, revision ${revision}`);
  return list;
}

/** The journal keeps which releases were answered, not the bytes: so these are asked for. */
function answerOf({ status, count, ids, scenario }) {
  if (!status) return ["nothing arrived, as the fault above wants it"];
  if (status === 403) return ["403 with an empty body"];
  if (status !== 200) return [`${status}; the body says what stands above, or what the fault gives it`];
  if (!count) return ["[], no releases"];
  const first = count > ids.length ? ` and ${count - ids.length} more` : "";
  const show = make("button", { type: "button" }, "Show them");
  const text = make("pre", { tabIndex: 0, hidden: true });
  show.onclick = async () => {
    const path = `scenarios/${encodeURIComponent(scenario)}?ids=${ids.join(",")}`;
    try {
      const { releases, changes } = await call("GET", path);
      text.textContent = JSON.stringify(releases, null, 2);
      if (changes) text.prepend("As the scenario begins; its changes may have come since:\n");
    } catch (error) {
      text.textContent = error.message;
    }
    text.hidden = false;
  };
  return [`${counted(count, "release")}: ${ids.join(", ")}${first} `, show, text];
}

// ---- the token, and what else people do ---------------------------------------------------------

function askForToken() {
  const form = byId("ask");
  if (token !== null) setText(byId("token-said"), "That is not the token of this mock.");
  token = null;
  sessionStorage.removeItem(TOKEN);
  byId("main").hidden = true;
  setText(byId("live"), "locked");
  if (form.hidden) {
    form.hidden = false;
    byId("token").focus();
  }
}

function onSubmit(id, what) {
  byId(id).addEventListener("submit", (event) => {
    event.preventDefault();
    what();
  });
}

onSubmit("ask", () => {
  const field = byId("token");
  token = field.value;
  field.value = "";
  // A header carries plain letters only, and so does every token that can be right.
  if (!/^[!-~]+$/.test(token)) return askForToken();
  sessionStorage.setItem(TOKEN, token);
  return look();
});
onSubmit("clock-set", () => {
  const now = byId("clock-to").value;
  return act("The clock stands still", "PUT", own("clock"), { now });
});
onSubmit("clock-advance", () => {
  const advance = byId("clock-by").value;
  return act("The clock is put forward", "PUT", own("clock"), { advance });
});
byId("clock-release").onclick = () => act("The clock runs", "DELETE", own("clock"));
byId("reset").onclick = () => act("All is as at the start", "POST", own("reset"));
byId("clear").onclick = () => act("The journal is empty", "DELETE", own("requests"));
byId("reload").onclick = () => act("The files are read again", "POST", "reload");
byId("search").oninput = showCards;
byId("filter").oninput = showEntries;
byId("status").onchange = showEntries;
document.addEventListener("visibilitychange", () => document.hidden || look());
look();
