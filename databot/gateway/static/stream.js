// Server-sent events over fetch: EventSource cannot send a key. Reconnects where it left off.

import { ApiError, request } from "./api.js";

// A daemon that restarts ends the stream, not the turn, and numbers its events anew.
const RESTARTING = new Set(["shutting_down", "interrupted"]);
const TERMINAL = new Set(["turn_finished", "turn_failed"]);
const MAX_WAIT_MS = 15_000;

/** Yield {name, data} of a turn until the terminal one; `onState` hears "live" and "lost". */
export async function* follow(turn, { signal, onState = () => {} }) {
  let last = 0;
  let wait = 500;
  while (!signal.aborted) {
    try {
      const headers = last ? { "Last-Event-ID": String(last) } : {};
      const path = `/api/v1/turns/${encodeURIComponent(turn)}/events?html=1`;
      const response = await request(path, { headers, signal });
      onState("live");
      for await (const event of parse(response.body)) {
        wait = 500;
        if (event.id) last = event.id;
        if (RESTARTING.has(event.data.error?.type)) {
          last = 0;
          yield { name: "turn_restarted", data: {} };
          break;
        }
        yield event;
        if (TERMINAL.has(event.name)) return;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError && error.status < 500 && error.status !== 429) throw error;
    }
    onState("lost");
    await pause(wait, signal);
    wait = Math.min(wait * 2, MAX_WAIT_MS);
  }
}

async function* parse(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const event = fields(block);
      if (event) yield event;
    }
  }
}

function fields(block) {
  const found = {};
  for (const line of block.split("\n")) {
    const at = line.indexOf(":");
    if (at > 0) found[line.slice(0, at)] = line.slice(at + 1).trimStart();
  }
  if (!found.event || !found.data) return null;
  return { id: Number(found.id ?? 0), name: found.event, data: JSON.parse(found.data) };
}

function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}
