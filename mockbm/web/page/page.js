// The page asks the admin API once a second what there is, and shows it. Whatever comes from there
// may hold anything at all, so it becomes text and attributes only: never HTML, never a script.

const HERE = new URL(".", location.href); // .../__admin/
const PERIOD = 1000; // milliseconds from one look to the next
const LOADED = 2000; // requests that are asked for, and filtered; a mock keeps 1,000 unless told
const SHOWN = 300; // of these, rows that there are at once
const STATUSES = ["active", "deployed", "canceled"];
const TOKEN = "mockbm-token";
const SESSION = "mockbm-session";
const NO_ANSWER = "no answer; is it still running?";

const byId = (id) => document.getElementById(id);

let token = sessionStorage.getItem(TOKEN);
let chosen = sessionStorage.getItem(SESSION) ?? ""; // the session looked at; "" is the default one
let choices = 0; // how often another one was chosen: what was asked before is not shown any more
let loaded = null; // when the files were read that `scenarios` are of
let scenarios = [];
let active = null;
let entries = []; // of the journal, oldest first
let opened = null; // the session that was opened here and whose key is on the page

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
    sayTrouble(error);
  }
  return look();
}

/** Tell why a call failed; that the token is missing shows by itself. */
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
  // A mock that is slow to answer, or far away, is asked less often; a hidden page asks nothing.
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
    const told = (await call("GET", "scenarios")).scenarios;
    scenarios = told.map(({ active: _, ...item }) => ({ ...item, key: JSON.stringify(item) }));
    loaded = health.loaded;
  }
  if (choice !== choices) return;
  active = now;
  showHealth(health);
  showSessions(health, sessions.sessions);
  showActive();
  showCards();
  showClock(clock);
  if (news !== entries) {
    const last = entries.at(-1)?.number;
    entries = news;
    showEntries(last);
  } else if (!entries.length) showEntries();
}

/** The journal, or `known` itself where nothing is new. It is asked for from the last known entry
 * on: where that one is not the first to come, the journal was emptied, begun anew or overrun. */
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
  const before = parent.kept ?? new Map();
  const after = new Map();
  for (const item of items) {
    const key = keyOf(item);
    const shown = before.get(key) ?? build(item);
    const told = shown.update && JSON.stringify(item);
    if (shown.told !== told) shown.update(item);
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
  const since = new Date(Date.now() - health.uptime * 1000).toLocaleString();
  setText(byId("about"), `${health.version} at ${location.host}, since ${since}`);
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
  if (!items.some((item) => item.id === opened)) showKey(null);
  reveal(byId("sessions"));
}

/** Scroll the list, and nothing else, to the session that was chosen. */
function reveal(list) {
  if (list.revealed === chosen) return;
  list.revealed = chosen;
  const { node } = list.kept.get(chosen) ?? {};
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
async function openSession() {
  const field = byId("open-label");
  const scenario = listed()?.name; // else the mock takes the one that it began with
  try {
    const session = await call("POST", "sessions", { label: field.value.trim(), scenario });
    field.value = "";
    showKey(session);
    say(`${nameOf(session)} is open`);
    choose(session.id);
  } catch (error) {
    sayTrouble(error);
    look();
  }
}

/** The key of a session is told to whoever opens it, and never again. */
function showKey(session) {
  opened = session?.id ?? null;
  const box = byId("opened");
  box.hidden = !session;
  if (!session) return box.replaceChildren();
  const name = nameOf(session);
  const key = make("code", {}, session.apiKey);
  const text = make("p", {}, "The key of ", alien(name), ", told only now: ", key);
  const { line, copy } = curl(session.apiKey, name);
  const hide = button("Hide", () => {
    byId("open-label").focus(); // the button is about to go
    showKey(null);
  });
  return box.replaceChildren(text, line, make("div", { className: "row" }, copy, hide));
}

function leave() {
  say("That session has ended; this is the default one again.", true);
  choose("");
}

/** The active scenario as it stands in the list; one that was given over HTTP does not. */
const listed = () => scenarios.find((item) => item.name === active?.name);

function showActive() {
  const { name, description, revision, run, faults = [], changes = [] } = active;
  const item = listed();
  setText(byId("now-name"), name);
  setText(byId("nav-name"), name);
  setText(byId("now-what"), description);
  byId("anew").hidden = !item;
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

/** What the active scenario holds, and the line that asks it. */
function buildHolds(item) {
  if (!item.key) {
    const releases = counted(item.releaseCount, "release");
    return { node: make("p", {}, `Given over HTTP, it has no file; ${releases}.`) };
  }
  const node = make("div", {}, holdings(item));
  // Without a pin, so that it moves the counters beside it. A session's own key is not known here.
  if (!item.chosen) {
    const { line, copy } = curlOf(item, false);
    node.append(make("div", { className: "line" }, line, copy));
  }
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
  setText(byId("clock-now"), clock.now.replace("T", " ").replace(/\.\d+Z/, " UTC"));
  const now = Date.parse(clock.now.replace(/(\.\d{3})\d*Z/, "$1Z"));
  const ahead = Math.round((now - Date.now()) / 1000);
  const runs = ahead > 2 ? `runs, ${lasting(ahead)} ahead` : "runs";
  setText(byId("clock-kind"), clock.set ? "stands still" : runs);
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
  const begin = () => act(`${name} is now active`, "PUT", own("scenario"), { name });
  const use = button("", begin, { className: "main", "aria-describedby": title });
  const head = make("h3", { id: title }, alien(name));
  const node = make("li", { className: "card", "aria-labelledby": title });
  node.append(make("div", { className: "title" }, head, badge));
  const what = alien(item.description, "p", "what");
  what.title = item.description; // it is cut after two lines
  const { line, copy } = curlOf(item, true);
  node.append(what, holdings(item), line, make("div", { className: "row" }, use, copy));
  const update = (now) => {
    node.classList.toggle("is-active", now.active);
    node.setAttribute("aria-current", now.active);
    badge.hidden = !now.active;
    setText(use, now.active ? "Begin anew" : "Switch");
  };
  return { node, update };
}

/** The picture of what a scenario holds, and the same in numbers and names. */
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

/** The line that asks a scenario, and a button that copies it.
 * isPinned: asks it whatever is active, by the scenario's name behind the key. */
function curlOf({ name, apiKeys }, isPinned) {
  const keys = apiKeys.map((key) => (isPinned ? `${key}@${name}` : key));
  if (!keys.length) return curl(isPinned ? `abc12345@${name}` : "abc12345", name, "-i "); // a 403
  return curl(keys.find((key) => /^[!-~]+$/.test(key)) ?? keys[0], name);
}

function curl(key, name, options = "") {
  const url = new URL("../api/releases", HERE).href; // where the mock is for whoever sees the page
  const inHeader = /^[!-~]+$/.test(key);
  const text = inHeader
    ? `curl -sS ${options}-H ${quoted(`X-ApiKey: ${key}`)} ${quoted(url)}`
    : `curl -sS ${options}${quoted(`${url}?key=${encodeURIComponent(key)}`)}`;
  const line = make("code", { className: "curl", title: text }, text);
  const said = `The curl line of ${name} is copied`;
  const label = { "aria-label": `Copy curl of ${name}` };
  return { line, copy: button("Copy curl", () => copyText(line, said), label) };
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
  head.append(make("time", { title: entry.time }, entry.time.slice(11, 19)));
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
    // What is in quotes was sent or stands in a file; in Hebrew, say, it must not turn the rest.
    const parts = entry.explanation.split(/('[^']*')/);
    const texts = parts.map((text, place) => (place % 2 ? alien(text) : text));
    head.append(make("span", { className: "why muted", dir: "ltr" }, ...texts));
  }
  const row = make("details", {}, head);
  row.addEventListener("toggle", () => row.append(details(entry, answer)), { once: true });
  return { node: make("li", { className: isNew ? "new" : "" }, row) };
}

/** What is known of the body of an answer: the bytes that the journal kept, and its JSON. */
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
  const tell = (name, ...what) => list.append(make("dt", {}, name), make("dd", {}, ...what));
  tell("Answer", ...answerOf(entry, answer));
  const places = Object.entries(entry.places).map(([name, place]) => `${name}: ${place}`);
  if (places.length) tell("Sent in", alien(places.join(", ")));
  if (entry.ignored.length) tell("Ignored", alien(entry.ignored.join(", ")));
  if (entry.notes.length) tell("Notes", alien(entry.notes.join("; ")));
  const { number, time, revision } = entry;
  const took = `${(entry.duration * 1000).toFixed(1)} ms`;
  tell("Request", `#${number} at ${time}, answered in ${took}, revision ${revision}`);
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
  const copy = button("Copy", () => copyText(shown, said), { "aria-label": "Copy the answer" });
  return [make("div", { className: "much" }, much, copy), shown];
}

// ---- the token, and what else people do ---------------------------------------------------------

function askForToken() {
  const form = byId("ask");
  if (token !== null) setText(byId("token-said"), "That is not the token of this mock.");
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
onSubmit("open", openSession);
byId("anew").onclick = () => {
  const { name } = active;
  return act(`${name} begins anew`, "PUT", own("scenario"), { name });
};
byId("reset").onclick = () => act("All is as at the start", "POST", own("reset"));
byId("clear").onclick = () => act("The journal is empty", "DELETE", own("requests"));
byId("reload").onclick = () => act("The files are read again", "POST", "reload");
byId("search").oninput = showCards;
byId("filter").oninput = () => showEntries();
byId("status").onchange = () => showEntries();
document.addEventListener("visibilitychange", () => document.hidden || look());
look();
