// What is seen of a conversation. Text goes in as text; the only HTML is what the server made safe.

import { artifactUrl, decide } from "./api.js";

/** An element: el("p", {class: "x"}, "text", child …). */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export function userMessage(text) {
  return el("article", { class: "user", "aria-label": "You" }, text);
}

/** A reply in progress, and then as a whole. */
export class Reply {
  constructor() {
    this.who = el("p", { class: "who" }, "thinking…");
    this.tools = el("ul", { class: "tools" });
    this.text = el("div", { class: "text plain" });
    this.cards = el("div", { class: "cards" });
    this.more = el("div");
    this.node = el("article", { class: "bot", "aria-label": "Answer", "aria-busy": "true" },
      this.who, this.tools, this.text, this.cards, this.more);
    this.running = new Map();
    this.failed = false;
  }

  agent(name) {
    this.who.textContent = name;
  }

  toolStarted({ call_id: id, tool }) {
    const item = el("li", { class: "running" }, `${tool} …`);
    const begun = performance.now();
    const tick = () => { item.textContent = `${tool} … ${seconds(performance.now() - begun)}`; };
    this.running.set(id, { item, tool, timer: setInterval(tick, 500) });
    this.tools.append(item);
  }

  /** A running tool has ended, or, of a kept answer, one ran: that has no `summary`. */
  toolFinished({ call_id: id, tool, ok, ms, summary = "" }) {
    const known = this.running.get(id);
    const item = known?.item ?? this.tools.appendChild(el("li"));
    clearInterval(known?.timer);
    this.running.delete(id);
    item.className = ok ? "done" : "failed";
    const line = summary.split("\n", 1)[0]; // a chart tells itself in text over several lines; the page has its image
    item.textContent = `${tool} ${seconds(ms)}${line ? ` · ${line}` : ""}`;
  }

  delta(text) {
    this.text.append(text);
  }

  /** Calls that wait for a person; one that is shown already stays as it is. */
  ask(approvals) {
    for (const { item, tool, timer } of this.running.values()) {
      clearInterval(timer);
      item.className = "waiting";
      item.textContent = `${tool} · waits for a person`;
    }
    this.running.clear();
    for (const approval of approvals) {
      const shown = [...this.cards.children].some((node) => node.dataset.id === approval.id);
      if (!shown) this.cards.append(card(approval));
    }
  }

  /** Begin again: a worker took the turn over after a crash, or goes on with it after a decision. */
  restart() {
    this.stopTimers();
    this.cards.replaceChildren();
    this.tools.replaceChildren();
    this.text.replaceChildren();
  }

  /** The whole reply, made safe by the server. */
  complete(message) {
    this.stopTimers();
    this.cards.replaceChildren();
    this.agent(message.agent || "databot");
    if (message.html !== undefined) this.html(message.html);
    else this.text.textContent = message.reply;
    this.more.replaceChildren(...supports(message));
    if (message.artifacts?.some((item) => IMAGE.test(item.media_type))) this.dropDrawings();
  }

  html(html) {
    this.text.className = "text";
    this.text.innerHTML = html;
  }

  /** A chart drawn in characters, for those who see no images: here its image stands below. */
  dropDrawings() {
    for (const block of this.text.querySelectorAll("pre")) if (/[▁-█░]/.test(block.textContent)) block.remove();
  }

  fail(reason) {
    this.stopTimers();
    this.cards.replaceChildren();
    this.failed = true;
    this.more.append(el("p", { class: "problem" }, sentence(reason)));
    this.end();
  }

  end() {
    this.stopTimers();
    this.node.removeAttribute("aria-busy");
    if (this.who.textContent === "thinking…") this.who.textContent = "databot";
  }

  stopTimers() {
    for (const { timer, item } of this.running.values()) {
      clearInterval(timer);
      item.className = "failed";
    }
    this.running.clear();
  }
}

/** A call that waits for a person, made from the call itself. The buttons work once. */
function card(approval) {
  const problem = el("p", { class: "problem", role: "alert" });
  problem.hidden = true;
  const buttons = [["approve", "Approve"], ["deny", "Deny"]].map(([decision, label]) => {
    const button = el("button", { type: "button", class: decision }, label);
    button.addEventListener("click", () => settle(decision));
    return button;
  });
  const node = el("section", { class: "card", "data-id": approval.id, "aria-label": "Approval needed" },
    el("p", {}, el("strong", {}, approval.tool), " needs a person’s approval"),
    el("pre", {}, visible(JSON.stringify(approval.arguments, null, 2))),
    el("p", { class: "facts" }, `Waits until ${new Date(approval.expires_at).toLocaleString()}`),
    el("div", { class: "choices" }, ...buttons),
    problem);
  async function settle(decision) {
    for (const button of buttons) button.disabled = true;
    try {
      const { state } = await decide(approval.id, decision);
      node.lastChild.before(el("p", { class: "facts" }, `You ${state} it.`));
    } catch (error) {
      problem.textContent = sentence(error.message);
      problem.hidden = false;
      if (error.status !== 409) for (const button of buttons) button.disabled = false;
    }
  }
  return node;
}

/** Characters that show nothing or turn the writing round, as numbers: what a person decides on, they must see. */
function visible(text) {
  return text.replace(/[\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g,
    (hidden) => `\\u${hidden.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** What a reply rests on: notes, files, queries and passages. */
function supports(message) {
  const parts = [];
  if (message.notes?.length) {
    parts.push(el("ul", { class: "notes" }, ...message.notes.map((note) => el("li", {}, sentence(note)))));
  }
  if (message.artifacts?.length) {
    parts.push(files(message.artifacts));
  }
  if (message.evidence?.length) parts.push(evidence(message.evidence));
  if (message.citations?.length) parts.push(citations(message.citations));
  return parts;
}

/** The answering queries; what was only looked up on the way is folded away among them. */
function evidence(items) {
  const lookups = items.filter((item) => item.purpose === "lookup");
  const answers = items.filter((item) => item.purpose !== "lookup");
  const aside = lookups.length ? queries("Looked up", lookups) : null;
  return answers.length ? queries("Evidence", answers, aside) : aside;
}

function queries(label, items, aside = null) {
  const count = items.length === 1 ? "1 query" : `${items.length} queries`;
  return el("details", { class: "evidence" }, el("summary", {}, `${label}: ${count}`), ...items.map(look), aside);
}

function look(item) {
  const rows = item.rows === 1 ? "1 row" : `${item.rows.toLocaleString()} rows`;
  const facts = el("p", { class: "facts" },
    `${item.connector} · ${rows}`,
    item.truncated ? el("span", { class: "cut" }, ", cut at the limit") : null,
    ` · ${seconds(item.elapsed_ms)} · as of ${new Date(item.as_of).toLocaleString()}`);
  return el("section", {}, facts, el("pre", {}, item.statement), sample(item));
}

function sample({ columns, sample: rows }) {
  if (!rows?.length || !columns?.length) return null;
  const cell = (value) => el("td", typeof value === "number" ? { class: "right" } : {}, value === null ? "NULL" : String(value));
  return el("div", { class: "table" }, el("table", {},
    el("thead", {}, el("tr", {}, ...columns.map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map(cell))))));
}

function citations(items) {
  return el("details", { class: "evidence" },
    el("summary", {}, items.length === 1 ? "Sources: 1 passage" : `Sources: ${items.length} passages`),
    ...items.map((item) => el("section", {},
      el("p", { class: "facts" }, `${item.marker} ${item.title} · ${item.source}`),
      el("blockquote", {}, item.quote))));
}

/** A file to download; it is fetched with the key. */
function artifact(item, label) {
  const size = item.size < 10_000 ? `${item.size} B` : `${Math.round(item.size / 1000).toLocaleString()} kB`;
  const button = el("button", { type: "button", title: item.name }, `Download ${label} (${size})`);
  button.addEventListener("click", async () => {
    const link = el("a", { download: item.name, href: await artifactUrl(item.id) });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  });
  return button;
}

const IMAGE = /^image\/(png|svg\+xml|jpeg|webp)$/;

/** Pictures, and below them every file to download. A picture kept in several forms is shown in the first. */
function files(items) {
  const shown = new Map();
  for (const item of items.filter((each) => IMAGE.test(each.media_type))) {
    const { name } = parted(item);
    if (!shown.has(name)) shown.set(name, picture(item, name));
  }
  const buttons = items.map((item) => {
    const { name, form } = parted(item);
    return artifact(item, shown.has(name) ? form : item.name);
  });
  return el("div", { class: "artifacts" }, ...shown.values(), el("div", { class: "files" }, ...buttons));
}

/** `Orders.vl.json` is `Orders`, as `vl.json`. */
function parted({ name: file }) {
  const at = file.search(/(\.[a-z]+)+$/);
  return at < 0 ? { name: file, form: file } : { name: file.slice(0, at), form: file.slice(at + 1) };
}

function picture(item, name) {
  const image = el("img", { alt: name, ...(item.media_type === "image/svg+xml" ? { class: "drawn" } : {}) });
  artifactUrl(item.id).then((url) => { image.src = url; }, () => image.remove());
  return image;
}

/** Errors and remarks begin small, to stand behind a name or a colon; by themselves they are sentences. */
export function sentence(text) {
  return /^[a-z]+ /.test(text) ? text[0].toUpperCase() + text.slice(1) : text;
}

export function seconds(ms) {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
