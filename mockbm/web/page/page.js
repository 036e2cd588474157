// The page gets the state from the admin API once a second, and shows it. Whatever comes from there
// may contain anything at all, so it becomes text and attributes only: never HTML, never a script.

const HERE = new URL(".", location.href); // .../__admin/
const PERIOD = 1000; // milliseconds from one look to the next
const LOADED = 2000; // requests that are fetched, and filtered; a mock records 1,000 unless set up otherwise
const SHOWN = 300; // of these, rows that there are at once
const RECORDS = 200; // of a kind, rows that there are at once
const FEW = 1000; // releases of a scenario whose records are read again with each look
const STATUSES = ["active", "deployed", "canceled"];
const TOKEN = "mockbm-token";
const SESSION = "mockbm-session";
const KINDS = ["releases", "builds", "deployments", "applications"];
const NO_ANSWER = "no answer; is it still running?";

const byId = (id) => document.getElementById(id);

let token = sessionStorage.getItem(TOKEN);
let chosen = sessionStorage.getItem(SESSION) ?? ""; // the session looked at; "" is the default one
let choices = 0; // how often another one was chosen: older answers are not shown any more
let loaded = null; // when the files were read that `scenarios` are of
let scenarios = [];
let active = null;
let entries = []; // of the journal, oldest first
let opened = null; // the session that was opened here and whose key is on the page
let records = null; // what the dialog shows: the name of a scenario, and whether it is as it is now

// ---- calls --------------------------------------------------------------------------------------

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
  const found = await answer.json().catch(() => ({ detail: `${answer.status}, and no JSON` }));
  if (!answer.ok) throw new Refusal(answer.status, found.detail);
  return found;
}

/** The path of a call about the session that is looked at. */
const own = (name, session = chosen) =>
  session ? `sessions/${encodeURIComponent(session)}/${name}` : name;

/** Do what a button says, say that it is done, and look at once. */
async function act(said, ...request) {
  try {
    await call(...request);
    say(said);
  } catch (error) {
    sayTrouble(error);
  }
  return look();
}

/** Say why a call failed; that the token is missing shows by itself. */
function sayTrouble(error) {
  if (error.status !== 401) say(trouble(error), true);
}

const trouble = (error) => (error instanceof Refusal ? error.message : `The mock: ${NO_ANSWER}`);

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
  const choice = choices;
  try {
    await update(choice);
    connected(true);
  } catch (error) {
    if (choice !== choices) return; // it may be about the session before; the next look is due
    if (error.status === 401) askForToken();
    else if (error.status === 404 && chosen) leave();
    else connected(false, error);
  }
  // A mock that is slow to answer, or far away, is called less often; a hidden page calls nothing.
  const pause = Math.min(Math.max(PERIOD, 4 * (performance.now() - begun)), 3 * PERIOD);
  if (!document.hidden && byId("ask").hidden) timer = setTimeout(look, pause);
}

async function update(choice) {
  const session = chosen;
  const [health, sessions, now, clock, news] = await Promise.all([
    call("GET", "health"),
    call("GET", "sessions"),
    call("GET", own("scenario", session)),
    call("GET", own("clock", session)),
    journalSince(entries, session),
  ]);
  if (health.loaded !== loaded) {
    const found = (await call("GET", "scenarios")).scenarios;
    scenarios = found.map(({ active: _, ...item }) => ({ ...item, key: JSON.stringify(item) }));
    loaded = health.loaded;
  }
  if (choice !== choices) return;
  active = now;
  showHealth(health);
  showSessions(health, sessions.sessions);
  showActive();
  showCards();
  showClock(clock);
  if (records?.isNow && active.releaseCount <= FEW) showRecords();
  if (news !== entries) {
    const last = entries.at(-1)?.number;
    entries = news;
    showEntries(last);
  } else if (!entries.length) showEntries();
}

/** The journal, or `known` itself where nothing is new. It is fetched from the last known entry
 * on: where that one does not come first, the journal was emptied, has restarted or was overrun. */
async function journalSince(known, session) {
  const last = known.at(-1);
  const path = own(`requests?count=${LOADED}`, session);
  if (last) {
    const found = (await call("GET", `${path}&after=${last.number - 1}`)).requests;
    if (found[0]?.number === last.number && found[0].time === last.time) {
      return found.length > 1 ? known.concat(found.slice(1)).slice(-LOADED) : known;
    }
    if (found[0]?.number > last.number) return found; // then there is no older one
  }
  const all = (await call("GET", path)).requests;
  return all.length || known.length ? all : known;
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

const button = (text, onclick, more = {}) =>
  make("button", { type: "button", onclick, ...more }, text);

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Show one element for each item, keeping those that are there: so that nobody loses the focus or
 * an open row because something else has changed. `build` makes {node, update?} of an item. */
function keep(parent, items, keyOf, build) {
  const before = parent.shown ?? new Map();
  const after = new Map();
  for (const item of items) {
    const key = keyOf(item);
    const shown = before.get(key) ?? build(item);
    const values = shown.update && JSON.stringify(item);
    if (shown.values !== values) shown.update(item);
    shown.values = values;
    after.set(key, shown);
  }
  for (const [key, shown] of before) if (!after.has(key)) shown.node.remove();
  let next = parent.firstElementChild;
  for (const { node } of after.values()) {
    if (node === next) next = next.nextElementSibling;
    else parent.insertBefore(node, next);
  }
  parent.shown = after;
}

/** A date and time, as the page writes all of them. */
const moment = (text) => `${text.slice(0, 10)} ${text.slice(11, 19)} UTC`;

const inDigits = (count) => count.toLocaleString("en");
const counted = (count, word) => `${inDigits(count)} ${word}${count === 1 ? "" : "s"}`;

/** A duration in its two largest units, such as `1 d 12 h`. */
function lasting(seconds) {
  const units = Object.entries({ d: 86400, h: 3600, min: 60, s: 1 });
  const first = Math.max(units.findIndex(([, size]) => seconds >= size), 0);
  let rest = seconds;
  const parts = units.slice(first, first + 2).map(([unit, size]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return count && `${count} ${unit}`;
  });
  return parts.filter(Boolean).join(" ");
}

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
    const why = error instanceof Refusal ? error.message : NO_ANSWER;
    setText(byId("lost"), `The mock: ${why}`);
  }
}

function showHealth(health) {
  byId("ask").hidden = true;
  byId("main").hidden = false;
  byId("parts").hidden = false;
  const since = moment(new Date(Date.now() - health.uptime * 1000).toISOString());
  const where = `${health.version} at ${location.host}, since ${since}`;
  setText(byId("about"), `A mock of BuildMaster’s Release & Build API, ${where}`);
  byId("problems").hidden = !health.problems.length;
  const build = (text) => ({ node: alien(text, "li") });
  keep(byId("problem-list"), health.problems, (text) => text, build);
}

function showSessions(health, others) {
  const main = { id: "", label: "default", scenario: health.scenario, revision: health.revision };
  const items = [main, ...others].map((item) => ({ ...item, isChosen: item.id === chosen }));
  keep(byId("sessions"), items, (item) => item.id, buildSession);
  const name = chosen && nameOf(items.find((item) => item.isChosen) ?? { id: chosen });
  byId("now-in").hidden = !chosen;
  setText(byId("now-session"), name);
  byId("now-title").title = name; // it is cut after one line
  const place = chosen && ` in \u2068${name}\u2069`; // its direction ends where it ends
  document.title = `${active.name}${place} · mockbm`;
  if (!items.some((item) => item.id === opened?.id)) showKey(null);
  reveal(byId("sessions"));
}

/** Scroll the list, and nothing else, to the session that was chosen. */
function reveal(list) {
  if (list.revealed === chosen) return;
  list.revealed = chosen;
  const { node } = list.shown.get(chosen) ?? {};
  if (!node) return;
  const least = node.offsetTop + node.offsetHeight - list.clientHeight;
  list.scrollTop = Math.min(Math.max(list.scrollTop, least), node.offsetTop);
}

const nameOf = ({ label, id }) => label || id;

function buildSession(item) {
  const name = nameOf(item);
  const pick = button(alien(name), () => choose(item.id), { className: "pick", title: name });
  const scenario = alien("", "span", "muted");
  const node = make("li", {}, pick, scenario);
  if (item.id) {
    const end = () => {
      byId("sessions-title").focus(); // the button is about to go
      if (item.id === chosen) choose("");
      act(`${name} has ended`, "DELETE", `sessions/${item.id}`);
    };
    node.append(button("End", end, { "aria-label": `End ${name}` }));
  }
  const update = (now) => {
    setText(scenario, now.scenario);
    scenario.title = now.scenario;
    pick.setAttribute("aria-pressed", now.isChosen);
  };
  return { node, update };
}

function choose(id) {
  if (id === chosen) return;
  chosen = id;
  choices += 1;
  sessionStorage.setItem(SESSION, id);
  entries = [];
  showEntries();
  look();
}

/** Open a session that begins as the page looks now, and look at it. */
async function openSession(label) {
  const scenario = listed()?.name; // else the mock takes the one that it began with
  const session = await call("POST", "sessions", { label: label.trim(), scenario });
  byId("open-label").value = "";
  showKey(session);
  say(`${nameOf(session)} is open`);
  choose(session.id);
}

/** The key of a session is shown when it is opened, and never again. */
function showKey(session) {
  opened = session;
  const box = byId("opened");
  box.hidden = !session;
  if (!session) return box.replaceChildren();
  const name = nameOf(session);
  const key = make("code", {}, session.apiKey);
  const text = make("p", {}, "The key of ", alien(name), ", shown only now: ", key);
  const { line, copy } = shellLine(releasesWith(session.apiKey), `curl line of ${name}`);
  const hide = button("Hide", () => {
    byId("open-label").focus(); // the button is about to go
    showKey(null);
  });
  return box.replaceChildren(text, line, make("div", { className: "row" }, copy, hide));
}

function leave() {
  say("That session has ended; this is the default one.", true);
  choose("");
}

/** The active scenario as the list has it; one that was sent over HTTP is not there. */
const listed = () => scenarios.find((item) => item.name === active?.name);

function showActive() {
  const { name, description, revision, run, faults = [], changes = [] } = active;
  const item = listed();
  setText(byId("now-name"), name);
  setText(byId("nav-name"), name);
  setText(byId("now-what"), description);
  byId("restart").hidden = !item;
  const holds = item ? { ...item, chosen } : active;
  keep(byId("now-holds"), [holds], (one) => JSON.stringify(one), buildHolds);
  const seconds = run && (lasting(Math.floor(run.seconds)) || "0 s");
  const calls = run ? `, ${counted(run.calls, "call")} in ${seconds}` : "";
  setText(byId("now-run"), `revision ${revision}${calls}`);
  byId("faults-title").hidden = !faults.length;
  byId("changes-title").hidden = !changes.length;
  setText(byId("changes-title"), changes.length < 100 ? "Changes" : "The first 100 changes");
  const numbered = (list) => list.map((one, number) => ({ ...one, number: `${number}` }));
  keep(byId("faults"), numbered(faults), (one) => one.number + one.fault, buildFault);
  const keyOf = ({ happened: _, ...one }) => JSON.stringify(one);
  keep(byId("changes"), numbered(changes.map(asChange)), keyOf, buildChange);
}

/** What the active scenario has, and the line that requests it. */
function buildHolds(item) {
  if (!item.key) {
    const text = `Sent over HTTP, it has no file; ${counted(item.releaseCount, "release")}. `;
    return { node: make("p", {}, text, recordsButton(item.name)) };
  }
  const node = make("div", {}, holdings(item));
  const row = make("div", { className: "row" });
  // Without a pin, so that it moves the counters above. A session's own key is not known here.
  if (!item.chosen) {
    const { line, copy } = curlOf(item, false);
    copy.className = "link";
    node.append(line);
    row.append(copy);
  }
  row.append(recordsButton(item.name));
  node.append(row);
  return { node };
}

function buildFault(item) {
  const met = make("span", { className: "count" });
  const number = make("code", { className: "muted" }, `[${item.number}]`);
  const node = make("li", {}, number, alien(item.fault, "span"), met);
  const update = ({ met: count, over }) => {
    setText(met, count ? `met ${inDigits(count)}${over ? ", done" : ""}` : "not met yet");
    met.classList.toggle("idle", !count);
    met.title = over ? "It lets requests pass now" : "Requests that it has met";
    node.classList.toggle("over", over);
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
  const [, seconds] = /^([0-9.]+) seconds?$/.exec(item.after) ?? [];
  const after = seconds >= 60 ? lasting(Number(seconds)) : item.after;
  const head = make("div", { className: "line" }, make("span", {}, release), state);
  const node = make("li", {}, head, `after ${after}: `, alien(sets.join(", ")));
  const update = (now) => {
    setText(state, now.happened ? "has happened" : "to come");
    node.classList.toggle("over", now.happened);
  };
  return { node, update };
}

function showClock(clock) {
  setText(byId("clock-now"), moment(clock.now));
  const now = Date.parse(clock.now.replace(/(\.\d{3})\d*Z/, "$1Z"));
  const ahead = Math.round((now - Date.now()) / 1000);
  const runs = ahead > 2 ? `runs, ${lasting(ahead)} ahead` : "runs";
  setText(byId("clock-kind"), clock.set ? "stopped" : runs);
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
  const begin = () => act(startedText(name), "PUT", own("scenario"), { name });
  const use = button("", begin, { className: "main", "aria-describedby": title });
  const head = make("h3", { id: title }, alien(name));
  const node = make("li", { className: "card", "aria-labelledby": title });
  node.append(make("div", { className: "title" }, head, badge, recordsButton(name)));
  const what = alien(item.description, "p", "what");
  what.title = item.description; // it is cut after two lines
  const { key, line, copy } = curlOf(item, true);
  line.textContent = `key ${key}`; // all that differs between the cards
  node.append(what, holdings(item), line, make("div", { className: "row" }, use, copy));
  const update = (now) => {
    node.classList.toggle("is-active", now.active);
    node.setAttribute("aria-current", now.active);
    badge.hidden = !now.active;
    setText(use, now.active ? "Restart" : "Switch");
  };
  return { node, update };
}

const startedText = (name) => (name === active.name ? `${name} is restarted` : `${name} is now active`);

const recordsButton = (name) =>
  button("Records", () => openRecords(name), {
    className: "link",
    "aria-label": `Records of ${name}`,
  });

/** The picture of what a scenario has, and the same in numbers and names. */
function holdings(item) {
  const facts = make("div", {}, counts(item), applications(item));
  return make("div", { className: "holds" }, picture(item), facts);
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
    const count = make("span", { className: status, title: status }, inDigits(statuses[status]));
    line.append(count, " ");
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

/** The line that requests the releases of a scenario, and a button that copies it.
 * isPinned: whatever is active, by the scenario's name behind the key. */
function curlOf({ name, apiKeys }, isPinned) {
  const keys = apiKeys.map((key) => (isPinned ? `${key}@${name}` : key));
  const refused = isPinned ? `abc12345@${name}` : "abc12345"; // a 403
  const key = keys.find((one) => /^[!-~]+$/.test(one)) ?? keys[0] ?? refused;
  const line = releasesWith(key, keys.length ? "" : "-i ");
  return { key, ...shellLine(line, `curl line of ${name}`) };
}

/** The shell line that requests all releases. */
function releasesWith(key, options = "") {
  const url = new URL("../api/releases", HERE); // where the mock is for who sees the page
  return `curl -sS ${options}${withKey(url, key)}`;
}

/** A key as a header, or in the URL where a header cannot have it, and the URL. */
function withKey(url, key) {
  if (/^[!-~]+$/.test(key)) return `-H ${quoted(`X-ApiKey: ${key}`)} ${quoted(url.href)}`;
  return quoted(`${url.href}${url.search ? "&" : "?"}key=${encodeURIComponent(key)}`);
}

/** The shell line that repeats a request of the journal, which does not have its key. */
function repeated({ method, path, parameters, places, scenario }) {
  const sent = (place) => Object.entries(parameters).filter(([name]) => places[name] === place);
  const url = new URL(`..${path.split("/").map(encodeURIComponent).join("/")}`, HERE);
  url.search = new URLSearchParams(sent("query"));
  const [json, form] = [sent("JSON"), sent("form")];
  const isPlain = method === "GET" && !json.length && !form.length;
  let line = `curl -sS ${method === "HEAD" ? "-I " : isPlain ? "" : `-X ${method} `}`;
  for (const pair of form) line += `--data-urlencode ${quoted(pair.join("="))} `;
  if (json.length) {
    const body = quoted(JSON.stringify(Object.fromEntries(json)));
    line += `-H 'Content-Type: application/json' -d ${body} `;
  }
  return line + withKey(url, keyFor(scenario));
}

/** A key with which a request gets to a scenario, in the session that is looked at. */
function keyFor(scenario) {
  if (chosen) return opened?.id === chosen ? opened.apiKey : "KEY";
  const [key] = scenarios.find((item) => item.name === scenario)?.apiKeys ?? [];
  return `${key ?? "abc12345"}${scenario === active.name ? "" : `@${scenario}`}`;
}

/** A line for a shell, and a button that copies it. */
function shellLine(text, what) {
  const line = make("code", { className: "curl", title: text }, text);
  const copied = () => copyText(line, text, `The ${what} is copied`);
  return { line, copy: button("Copy curl", copied, { "aria-label": `Copy curl: ${what}` }) };
}

/** In quotes in which a shell leaves every letter as it is. */
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

async function copyText(node, text, said) {
  try {
    await navigator.clipboard.writeText(text);
    say(said);
  } catch {
    // No clipboard on a plain HTTP page that is not of this machine, or not allowed.
    node.textContent = text;
    getSelection().selectAllChildren(node);
    if (document.execCommand("copy")) say(said);
    else say("It is selected; copy it with Ctrl-C.");
  }
}

// ---- the journal --------------------------------------------------------------------------------

/** Show the journal. after: the last number that was there before; later rows light up. */
function showEntries(after = Infinity) {
  const wanted = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const status = byId("status").value;
  const found = entries.filter((entry) => {
    const first = String(Math.floor(entry.status / 100));
    if (status && status !== first) return false;
    return !wanted.length || wanted.every((word) => searched(entry).includes(word));
  });
  const rows = found.slice(-SHOWN).reverse();
  const build = (entry) => buildEntry(entry, entry.number > after);
  keep(byId("entries"), rows, (entry) => `${entry.number} ${entry.time}`, build);
  setText(byId("journal-count"), howMany(rows.length, found.length, entries.length));
  const hint = chosen
    ? "Requests with this session’s API key appear here."
    : "Copy the line of a scenario and run it.";
  const none = entries.length ? "No request matches the filter." : `No requests yet. ${hint}`;
  setText(byId("no-entries"), none);
  byId("no-entries").hidden = rows.length > 0;
}

function howMany(rows, found, all) {
  if (found === all) return rows === all ? inDigits(all) : `${rows} of ${inDigits(all)} shown`;
  const most = rows < found ? `, the newest ${rows} shown` : "";
  return `${inDigits(found)} of ${inDigits(all)}${most}`;
}

const searchable = new WeakMap();

/** All of an entry that the filter looks at. */
function searched(entry) {
  if (!searchable.has(entry)) {
    const sent = Object.entries(entry.parameters).map(([name, value]) => `${name}=${value}`);
    const { number, status, method, path, scenario, explanation, notes } = entry;
    const parts = [`#${number}`, status, method, path, ...sent, scenario, explanation, ...notes];
    searchable.set(entry, parts.join(" ").toLowerCase());
  }
  return searchable.get(entry);
}

function buildEntry(entry, isNew) {
  const kind = entry.status ? `s${Math.floor(entry.status / 100)}` : "s5";
  const asked = make("span", { className: "asked" }, `${entry.method} `, alien(entry.path));
  for (const [name, value] of Object.entries(entry.parameters)) {
    asked.append(" ", alien(`${name}=${value}`, "code"));
  }
  const head = make("summary", {});
  head.append(make("time", { title: moment(entry.time) }, entry.time.slice(11, 19)));
  const status = entry.status ? `${entry.status}` : "none";
  head.append(make("span", { className: `status ${kind}` }, status));
  const answer = read(entry);
  const gist = gistOf(entry, answer);
  const isLong = gist.length > 30;
  const came = gist && make("span", { className: isLong ? "gist long" : "gist" }, alien(gist));
  if (came && !isLong) asked.append(" ", came);
  head.append(asked, alien(entry.scenario, "span", "from muted"));
  if (came && isLong) head.append(came);
  if (gist !== entry.explanation) {
    // What is in quotes was sent or is in a file; in Hebrew, say, it must not turn the rest.
    const parts = entry.explanation.split(/('[^']*')/);
    const texts = parts.map((text, place) => (place % 2 ? alien(text) : text));
    head.append(make("span", { className: "why muted", dir: "ltr" }, ...texts));
  }
  const row = make("details", {}, head);
  row.addEventListener("toggle", () => row.append(details(entry, answer)), { once: true });
  return { node: make("li", { className: isNew ? "new" : "" }, row) };
}

/** What is known of the body of an answer: the bytes that the journal has, and its JSON. */
function read({ answer, size }) {
  const bytes = new TextEncoder().encode(answer).length;
  const isWhole = bytes === size;
  try {
    return { bytes, isWhole, json: isWhole && answer ? JSON.parse(answer) : undefined };
  } catch {
    return { bytes, isWhole };
  }
}

/** What the records are that an endpoint answers. */
function nounOf(path) {
  if (/\/deploy(ments)?\/?$/i.test(path)) return "deployment";
  if (/\/(builds|packages)(\/|$)/i.test(path)) return "build";
  return /applications/i.test(path) ? "application" : "release";
}

/** What came back, in a few letters. */
function gistOf({ status, count, answer, size, path }, { isWhole, json }) {
  if (!size) return status === 200 ? "empty body" : "";
  if (count && (!isWhole || json)) return counted(count, nounOf(path));
  if (count) return "not JSON";
  const [first] = answer.trim().split("\n", 1);
  return first.length > 100 ? `${first.slice(0, 100)}…` : first;
}

function details(entry, answer) {
  const list = make("dl");
  const add = (name, ...what) => list.append(make("dt", {}, name), make("dd", {}, ...what));
  add("Answer", ...answerOf(entry, answer));
  const places = Object.entries(entry.places).map(([name, place]) => `${name}: ${place}`);
  if (places.length) add("Sent in", alien(places.join(", ")));
  if (entry.ignored.length) add("Ignored", alien(entry.ignored.join(", ")));
  if (entry.notes.length) add("Notes", alien(entry.notes.join("; ")));
  const { number, time, revision } = entry;
  const took = `${(entry.duration * 1000).toFixed(1)} ms`;
  add("Request", `#${number} at ${moment(time)}, answered in ${took}, revision ${revision}`);
  add("Repeat", ...Object.values(shellLine(repeated(entry), `curl line of request ${number}`)));
  return list;
}

/** The body that was answered; JSON is set out in lines. */
function answerOf({ number, status, answer, size }, { bytes, isWhole, json }) {
  if (!status) return ["nothing arrived"];
  if (!size) return ["empty body"];
  const text = json === undefined ? answer : JSON.stringify(json, null, 2);
  const shown = alien(text, "pre");
  shown.tabIndex = 0; // the keyboard scrolls it
  shown.setAttribute("aria-label", `Answer to request ${number}`);
  const all = counted(size, "byte");
  const much = isWhole ? all : `the first ${inDigits(bytes)} of ${all}`;
  const said = isWhole ? "The answer is copied" : "The beginning of the answer is copied";
  const copy = button("Copy", () => copyText(shown, text, said), { "aria-label": "Copy the answer" });
  return [make("div", { className: "much" }, much, copy), shown];
}

// ---- records ------------------------------------------------------------------------------------

/** Show the records of a scenario: as they are now where it is active, or else as they begin. */
function openRecords(name) {
  records = { name, isNow: name === active.name };
  byId("record-lists").replaceChildren();
  byId("records").showModal();
  return showRecords();
}

async function showRecords() {
  const wanted = records;
  const { name } = wanted;
  const isNow = (wanted.isNow &&= name === active.name); // after a switch, it is not looked at again
  try {
    const path = isNow ? own("state") : `scenarios/${encodeURIComponent(name)}/state`;
    const found = await call("GET", path);
    if (records === wanted) KINDS.forEach((kind) => showKind(kind, found[kind]));
  } catch (error) {
    sayTrouble(error);
  }
  setText(byId("records-of"), name);
  byId("records-when").hidden = name !== active.name || !listed();
  byId("records-now").setAttribute("aria-pressed", isNow);
  byId("records-first").setAttribute("aria-pressed", !isNow);
}

/** What a record is, in a few words. */
const GISTS = {
  releases: (one) => [one.applicationName, one.number, one.name === one.number ? "" : one.name],
  builds: (one) => [one.applicationName, one.releaseNumber, `build ${one.number}`],
  deployments: (one) => [
    ...[one.applicationName, one.releaseNumber, `build ${one.buildNumber}`],
    `to ${one.pipelineStageName}`,
  ],
  applications: (one) => [one.name, one.groupName],
};

function showKind(kind, found) {
  const before = byId(`records-${kind}`);
  const list = before ?? make("ol", { id: `records-${kind}`, className: "rows" });
  if (!before) byId("record-lists").append(make("h3", { id: `${list.id}-title` }), list);
  const more = found.length > RECORDS ? `, the first ${RECORDS} shown` : "";
  setText(byId(`${list.id}-title`), `${counted(found.length, kind.slice(0, -1))}${more}`);
  const build = (record) => buildRecord(kind, record, before !== null);
  keep(list, found.slice(0, RECORDS), JSON.stringify, build);
}

/** isNew: it is there, or as it is, only since the dialog was opened. */
function buildRecord(kind, record, isNew) {
  const head = make("summary", {}, make("code", { className: "muted" }, `${record.id}`));
  const texts = GISTS[kind](record).filter(Boolean);
  head.append(make("span", {}, ...texts.flatMap((text) => [alien(text), " "])));
  const status = record.status ?? (record.active === false ? "inactive" : "");
  if (status) head.append(alien(status, "span", "badge"));
  const row = make("details", {}, head);
  const whole = () => row.append(alien(JSON.stringify(record, null, 2), "pre"));
  row.addEventListener("toggle", whole, { once: true });
  return { node: make("li", { className: isNew ? "new" : "" }, row) };
}

for (const [id, isNow] of [["records-first", false], ["records-now", true]]) {
  byId(id).onclick = () => {
    records = { ...records, isNow };
    byId("record-lists").replaceChildren();
    showRecords();
  };
}
byId("records-close").onclick = () => byId("records").close();
byId("records").onclose = () => (records = null);

// ---- the token, and what else people do ---------------------------------------------------------

function askForToken() {
  const form = byId("ask");
  if (token !== null) setText(byId("ask-wrong"), "That is not the token of this mock.");
  token = null;
  sessionStorage.removeItem(TOKEN);
  byId("main").hidden = true;
  byId("parts").hidden = true;
  document.title = "mockbm";
  setText(byId("live"), "locked");
  if (form.hidden) {
    form.hidden = false;
    byId("token").focus();
  }
}

/** Let a form do something with its field; what is wrong with that is said in the form. */
function onSubmit(id, what) {
  const form = byId(id);
  const [field, wrong] = [form.querySelector("input"), form.querySelector(".wrong")];
  wrong.id = `${id}-wrong`;
  field.setAttribute("aria-describedby", wrong.id);
  const mark = (text) => {
    setText(wrong, text);
    field.setAttribute("aria-invalid", text !== "");
  };
  field.oninput = () => mark("");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    mark("");
    try {
      await what(field.value, mark);
    } catch (error) {
      if (!(error instanceof Refusal) || error.status === 401) sayTrouble(error);
      else {
        mark(inOwnWords(error.message));
        field.focus();
      }
    }
    look();
  });
}

/** What a call says of its body, without the field's name there, and with dates as they are here. */
const inOwnWords = (text) =>
  text.replace(/^\w+: /, "").replace(/ or 2024-03-04T.*/, " or 2024-03-04 09:00:00");

onSubmit("ask", (value) => {
  byId("token").value = "";
  token = value;
  // A header carries plain letters only, and so does every token that can be right.
  if (/^[!-~]+$/.test(token)) sessionStorage.setItem(TOKEN, token);
  else askForToken();
});
onSubmit("clock-set", async (value) => {
  await call("PUT", own("clock"), { now: value.replace(/ *UTC$/i, "Z") });
  say("The clock is stopped");
});
onSubmit("clock-advance", async (advance) => {
  await call("PUT", own("clock"), { advance });
  say("The clock is put forward");
});
byId("clock-release").onclick = () => act("The clock runs", "DELETE", own("clock"));
onSubmit("open", openSession);
byId("restart").onclick = () => {
  const { name } = active;
  return act(startedText(name), "PUT", own("scenario"), { name });
};
byId("reset").onclick = () => act("The session is reset", "POST", own("reset"));
byId("clear").onclick = () => act("The journal is empty", "DELETE", own("requests"));
byId("reload").onclick = () => act("The files are read", "POST", "reload");
byId("search").oninput = showCards;
byId("filter").oninput = () => showEntries();
byId("status").onchange = () => showEntries();

/** On a narrow screen, what is active and the journal come before the many cards. */
const narrow = matchMedia("(max-width: 999.9px)");
function arrange() {
  const ids = narrow.matches
    ? ["now", "journal", "scenarios", "sessions-box", "clock"]
    : ["scenarios", "now", "sessions-box", "clock", "journal"];
  byId("main").append(...ids.map(byId));
}
narrow.onchange = arrange;
arrange();

document.addEventListener("visibilitychange", () => document.hidden || look());
look();
