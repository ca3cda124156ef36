// The chat page: one conversation at a time, kept by its id in this browser, answered by the API.

import * as api from "./api.js";
import { follow } from "./stream.js";
import { Reply, sentence, userMessage } from "./view.js";

const $ = (id) => document.getElementById(id);
const { bot, keys } = document.body.dataset;
const SESSION = `databot.session.${bot}`;
const TURN = `databot.turn.${bot}`;
const WAITING = `databot.waiting.${bot}`;
const log = $("log");

let session = localStorage.getItem(SESSION);
let sending = false;
let current = null; // {turn, reply, aborter}
const followed = new Set(); // the current one, and those that wait for a person

function atBottom() {
  return log.scrollHeight - log.scrollTop - log.clientHeight < 80;
}

/** Change what is seen; keep the end in view only for a reader who is there. */
function show(change) {
  const stay = atBottom();
  change();
  if (stay) log.scrollTop = log.scrollHeight;
}

function problem(text) {
  $("problem").textContent = sentence(text ?? "");
  $("problem").hidden = !text;
}

function busy(on) {
  $("stop").hidden = !on;
  $("send").hidden = on;
  if (!on) $("message").focus();
}

function remember(name, value) {
  if (value === null) localStorage.removeItem(name);
  else localStorage.setItem(name, value);
}

/** The turns that wait for a person, as this browser knows them. */
function waitingTurns() {
  return JSON.parse(localStorage.getItem(WAITING) ?? "[]");
}

function keepWaiting(turn, on) {
  const others = waitingTurns().filter((each) => each !== turn);
  const turns = on ? [...others, turn] : others;
  remember(WAITING, turns.length ? JSON.stringify(turns) : null);
}

/** A turn that waits for a person, perhaps for days, leaves the line to other messages. */
function stepAside(mine) {
  keepWaiting(mine.turn, true);
  if (current !== mine) return;
  remember(TURN, null);
  current = null;
  busy(false);
}

/** Follow a turn to its end, in a reply of its own; `aside` when it waited for a person already. */
async function attend(turn, reply, { aside = false } = {}) {
  const aborter = new AbortController();
  const mine = { turn, reply, aborter };
  followed.add(mine);
  if (!aside) {
    current = mine;
    remember(TURN, turn);
    busy(true);
  }
  const onState = (state) => { $("where").textContent = state === "lost" ? "reconnecting…" : ""; };
  try {
    for await (const event of follow(turn, { signal: aborter.signal, onState })) {
      if (event.name === "approval_requested" && await askPerson(reply, event.data)) stepAside(mine);
      show(() => tell(reply, event));
    }
  } catch (error) {
    show(() => reply.fail(error.message));
  }
  reply.end();
  followed.delete(mine);
  if (aborter.signal.aborted) return;
  keepWaiting(turn, false);
  $("where").textContent = "";
  $("said").textContent = reply.failed ? "" : reply.text.textContent;
  if (current !== mine) return;
  remember(TURN, null);
  current = null;
  busy(false);
}

function tell(reply, { name, data }) {
  switch (name) {
    case "agent_selected": return reply.agent(data.agent);
    case "tool_started": return reply.toolStarted(data);
    case "tool_finished": return reply.toolFinished(data);
    case "text_delta": return reply.delta(data.text);
    case "turn_restarted": return reply.restart();
    case "message":
    case "turn_finished": return reply.complete(data);
    case "turn_failed": return reply.fail(data.error.message);
    default: return undefined;
  }
}

/** The event says that a call waits; the call itself, whole, is asked for. Says whether it still waits. */
async function askPerson(reply, { turn_id: turn }) {
  const waiting = await api.asked(turn);
  show(() => reply.ask(waiting));
  return waiting.length > 0;
}

async function ask(text) {
  if (sending || current || !text.trim()) return;
  sending = true;
  problem("");
  $("welcome").hidden = true;
  const mine = userMessage(text);
  const reply = new Reply();
  log.append(mine, reply.node);
  log.scrollTop = log.scrollHeight;
  busy(true);
  try {
    const name = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
    const sent = await withKey(() => api.send(text, { session, bot, name }));
    session = sent.session_id;
    remember(SESSION, session);
    sending = false;
    await attend(sent.turn_id, reply);
  } catch (error) {
    // Nothing was accepted: give the words back.
    mine.remove();
    reply.node.remove();
    $("message").value = text;
    sending = false;
    problem(error instanceof TypeError ? "databot cannot be reached; is it running?" : error.message);
    busy(false);
  }
}

/** Do it; when the key is missing or wrong, ask for one and do it again. */
async function withKey(action) {
  if (keys === "yes" && !api.hasKey()) await askForKey("");
  for (;;) {
    try {
      return await action();
    } catch (error) {
      if (error.status !== 401) throw error;
      api.forgetKey();
      await askForKey("This key is not known here.");
    }
  }
}

function askForKey(reason) {
  const door = $("door");
  $("door-problem").textContent = reason;
  $("door-problem").hidden = !reason;
  door.showModal();
  return new Promise((resolve, reject) => {
    door.addEventListener("close", () => {
      const key = $("key").value.trim();
      $("key").value = "";
      if (!key) return reject(new Error("no key was given"));
      api.setKey(key);
      return resolve();
    }, { once: true });
  });
}

/** Show the kept conversation, and go on with a turn that was still running. */
async function restore() {
  if (!session) return;
  let kept;
  try {
    kept = await withKey(() => api.history(session));
  } catch (error) {
    if (error.status === 404) forget();
    else problem(error.message);
    return;
  }
  $("welcome").hidden = kept.messages.length > 0;
  const running = localStorage.getItem(TURN);
  const waiting = waitingTurns();
  const open = new Map([...waiting, running].filter(Boolean).map((turn) => [turn, new Reply()]));
  for (const message of kept.messages) {
    const reply = open.get(message.turn_id);
    if (message.role === "user") log.append(userMessage(message.content), ...(reply ? [reply.node] : failed(message)));
    else if (isReply(message) && !reply) log.append(past(message));
  }
  log.scrollTop = log.scrollHeight;
  for (const turn of waiting) attend(turn, open.get(turn), { aside: true });
  if (running) await attend(running, open.get(running));
}

/** Words between two tool calls are kept as messages of their own, and stand in the reply again. */
function isReply({ role, content, tool_calls: calls }) {
  return role === "assistant" && content && !calls?.length;
}

function past(message) {
  const reply = new Reply();
  for (const tool of message.tools ?? []) reply.toolFinished({ tool: tool.name, ok: tool.ok, ms: tool.ms });
  reply.complete({ ...message, reply: message.content });
  reply.end();
  return reply.node;
}

/** The error that ended an earlier turn, in its place. */
function failed({ error }) {
  if (!error) return [];
  const reply = new Reply();
  reply.fail(error.message);
  return [reply.node];
}

function forget() {
  session = null;
  remember(SESSION, null);
  remember(TURN, null);
  remember(WAITING, null);
}

function begin() {
  for (const { aborter } of followed) aborter.abort();
  followed.clear();
  current = null;
  forget();
  problem("");
  log.replaceChildren($("welcome"));
  $("welcome").hidden = false;
  $("where").textContent = "";
  busy(false);
}

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("message").value;
  if (!text.trim() || sending || current) return;
  $("message").value = "";
  ask(text);
});
$("message").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("composer").requestSubmit();
});
$("suggestions").addEventListener("click", (event) => {
  if (event.target.matches("button")) ask(event.target.textContent);
});
$("stop").addEventListener("click", async () => {
  if (!current) return;
  $("where").textContent = "stopping…";
  await api.cancel(current.turn).catch((error) => problem(error.message));
});
$("new").addEventListener("click", begin);

restore();
