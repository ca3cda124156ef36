// The API as this page uses it: requests to our own origin only, with the key of this tab.

const KEY = "databot.key";

export class ApiError extends Error {
  constructor(status, error) {
    super(error?.message ?? `the server answered ${status}`);
    this.status = status;
    this.type = error?.type ?? "unknown";
  }
}

export function setKey(key) {
  sessionStorage.setItem(KEY, key);
}

export function hasKey() {
  return sessionStorage.getItem(KEY) !== null;
}

export function forgetKey() {
  sessionStorage.removeItem(KEY);
}

/** One request; anything but success is an ApiError. */
export async function request(path, { method = "GET", body, headers = {}, signal } = {}) {
  const key = sessionStorage.getItem(KEY);
  const response = await fetch(path, {
    method,
    signal,
    headers: {
      ...headers,
      ...(key ? { Authorization: `Bearer ${key}` } : {}),
      ...(body ? { "Content-Type": "application/json" } : {}),
    },
    body: body ? JSON.stringify(body) : undefined,
  });
  if (!response.ok) {
    const problem = await response.json().catch(() => null);
    throw new ApiError(response.status, problem?.error);
  }
  return response;
}

/** Send a message; the key makes a repeated click or retry the same message. */
export async function send(message, { session, bot, name }) {
  const body = { message, bot_id: bot, ...(session ? { session_id: session } : {}) };
  const headers = { "Idempotency-Key": name };
  return (await request("/api/v1/messages", { method: "POST", body, headers })).json();
}

export async function cancel(turn) {
  await request(`/api/v1/turns/${encodeURIComponent(turn)}/cancel`, { method: "POST" });
}

export async function turn(id) {
  return (await request(`/api/v1/turns/${encodeURIComponent(id)}`)).json();
}

/** What waits for a person in a turn. */
export async function asked(turn) {
  return (await (await request(`/api/v1/approvals?turn_id=${encodeURIComponent(turn)}`)).json()).approvals;
}

export async function decide(approval, decision) {
  const path = `/api/v1/approvals/${encodeURIComponent(approval)}`;
  return (await request(path, { method: "POST", body: { decision } })).json();
}

export async function history(session) {
  return (await request(`/api/v1/sessions/${encodeURIComponent(session)}?html=1`)).json();
}

/** A kept file as a blob URL, so that it is fetched with the key. */
export async function artifactUrl(id) {
  const response = await request(`/api/v1/artifacts/${encodeURIComponent(id)}`);
  return URL.createObjectURL(await response.blob());
}
