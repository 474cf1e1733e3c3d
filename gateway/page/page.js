"use strict";
// Everything that comes from the gateway goes into the page as text, never as markup: names of models and words
// of answers were written by others. The key stays in its field.
(() => {
  const at = (id) => document.getElementById(id);
  const POLL_MS = 10000;
  const SAFE_NAME = /^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$/;

  let state = null;
  let chosen = null;
  let running = null;
  let typed = 0;

  const make = (tag, text, className) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (className) element.className = className;
    return element;
  };

  // The address of each port as this browser reaches it. Behind a proxy the page's own address serves what its
  // port serves; the responses port serves chat as well.
  const addresses = () => {
    const own = location.origin;
    const port = location.port || (location.protocol === "https:" ? "443" : "80");
    const beside = (number) => {
      if (number === null) return null;
      if (number === state.port || port !== String(state.port)) return own;
      return `${location.protocol}//${location.hostname}:${number}`;
    };
    const proxied = port !== String(state.port);
    const { chat, responses } = state.ports;
    return {
      chat: beside(chat) ?? beside(responses),
      responses: proxied && state.surface === "chat" ? null : beside(responses),
    };
  };

  const fill = (text, where) => text
    .replaceAll("{chat}", where.chat ?? "")
    .replaceAll("{responses}", where.responses ?? where.chat ?? "")
    .replaceAll("{model}", SAFE_NAME.test(chosen ?? "") ? chosen : "MODEL");

  // --- state ------------------------------------------------------------------------------------------------

  const upstreamPill = () => {
    const { breaker, upstream, list_known: known } = state;
    if (breaker.is_open) return ["bad", `${upstream.name} fails`];
    if (breaker.open_models.length) return ["warn", `${upstream.name}: some models fail`];
    return known ? ["good", `${upstream.name} answers`] : ["warn", `${upstream.name}: no model list`];
  };

  const breakerPill = () => {
    const { enabled, is_open: open, consecutive_failures: failures, open_models: models } = state.breaker;
    if (!enabled) return ["", "breaker off"];
    if (open || models.length) return ["bad", "breaker open"];
    return failures ? ["warn", `breaker closed, ${failures} failures`] : ["good", "breaker closed"];
  };

  const showState = () => {
    const port = ["", `${state.surface} port ${state.port}`];
    at("pills").replaceChildren(...[port, upstreamPill(), breakerPill()].map(([kind, text]) => make("li", text, kind)));
    at("version").textContent = state.version;
    const speaks = state.surface === "chat"
      ? "This port passes Chat Completions through to"
      : "This port takes Responses, Messages and Chat Completions for";
    const api = state.upstream.speaks === "chat" ? "Chat Completions" : "Responses";
    at("lead").textContent = `${speaks} ${state.upstream.name}, which speaks ${api}.`;
    const notices = [];
    if (state.asks_for_token) notices.push("This gateway holds a key. Send your client token wherever a key goes.");
    else if (state.holds_key) notices.push("This gateway holds a key for clients that send none. A key that is sent is used instead.");
    if (state.breaker.is_open) notices.push("The upstream failed several times in a row; requests are refused until it is tried again.");
    if (state.breaker.open_models.length) notices.push(`These models fail at the moment: ${state.breaker.open_models.join(", ")}.`);
    if (!state.list_known) notices.push("The upstream shows no model list. It may need a key: type yours below. The models shown are a guess.");
    at("notice").textContent = notices.join(" ");
    at("notice").hidden = notices.length === 0;
  };

  const load = async () => {
    const headers = at("key").value ? { authorization: `Bearer ${at("key").value.trim()}` } : {};
    const ticket = ++typed;
    try {
      const answer = await fetch("/page.json", { headers, cache: "no-store" });
      const fresh = await answer.json();
      if (ticket !== typed) return;
      const first = state === null;
      state = fresh;
      showState();
      showModels(first);
      if (first) showTabs();
    } catch {
      at("pills").replaceChildren(make("li", "the gateway does not answer", "bad"));
    }
  };

  // --- clients ----------------------------------------------------------------------------------------------

  const current = () => state.clients.find((client) => `#${client.id}` === location.hash) ?? state.clients[0];

  const copy = async (button, text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // A page that was opened over plain HTTP has no clipboard: the old way still works.
      const area = make("textarea", text);
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  };

  const snippet = ({ where, text }, urls) => {
    const box = make("div", undefined, "snippet");
    const head = make("div");
    const button = make("button", "Copy", "small");
    const filled = fill(text, urls);
    button.addEventListener("click", () => copy(button, filled));
    head.append(make("h3", where), button);
    box.append(head, make("pre", filled));
    return box;
  };

  const showCard = () => {
    const client = current();
    const urls = addresses();
    for (const tab of at("tabs").children) tab.setAttribute("aria-selected", String(tab.dataset.id === client.id));
    const parts = [];
    if (client.note) parts.push(make("p", fill(client.note, urls)));
    const model = state.models.find((one) => one.name === chosen);
    if (model && !model.ports.includes(client.surface)) {
      parts.push(make("p", `${chosen} is not listed for this client's port; it may lack what ${client.title} needs.`, "quiet"));
    }
    if (urls[client.surface] === null) {
      parts.push(make("p", "This needs the responses port: open its page to see the address.", "notice"));
    } else {
      parts.push(...client.snippets.map((one) => snippet(one, urls)));
    }
    at("card").replaceChildren(...parts);
  };

  const showTabs = () => {
    at("tabs").replaceChildren(...state.clients.map((client) => {
      const tab = make("button", client.title);
      tab.dataset.id = client.id;
      tab.setAttribute("role", "tab");
      tab.addEventListener("click", () => { history.replaceState(null, "", `#${client.id}`); showCard(); });
      return tab;
    }));
    showCard();
  };

  // --- models -----------------------------------------------------------------------------------------------

  const tokens = (count) => {
    if (count === null) return "";
    return count >= 1000 ? `${Math.round(count / 1000).toLocaleString("en")}k` : String(count);
  };
  const price = (pair) => (pair === null ? "" : pair.map((usd) => Number(usd.toPrecision(4))).join(" / "));
  const skills = (model) => ["tools", "vision", "reasoning"].filter((skill) => model[skill]);

  const choose = (name) => {
    chosen = name;
    at("model").value = name;
    for (const row of at("models").children) row.setAttribute("aria-selected", String(row.dataset.name === name));
    if (at("tabs").children.length) showCard();
  };

  const row = (model) => {
    const line = make("tr");
    line.dataset.name = model.name;
    line.setAttribute("aria-selected", String(model.name === chosen));
    const name = make("td");
    const button = make("button", model.name, "name");
    button.addEventListener("click", () => choose(model.name));
    name.append(button);
    if (model.of) name.append(make("div", `means ${model.of}`, "quiet"));
    const cell = (text, label, className) => {
      const made = make("td", text, className);
      made.dataset.label = label;
      return made;
    };
    const can = make("td");
    can.append(...skills(model).map((skill) => make("span", skill, "tag")));
    line.append(name, cell(tokens(model.context), "Context", "number"), can,
      cell(price(model.price), "$ per million, in / out", "number"), cell(model.ports.join(", "), "Ports"));
    return line;
  };

  const showModels = (first) => {
    const words = at("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const text = (model) => `${model.name} ${model.of ?? ""} ${skills(model).join(" ")}`.toLowerCase();
    const found = state.models.filter((model) => words.every((word) => text(model).includes(word)));
    at("models").replaceChildren(...found.map(row));
    at("none").hidden = found.length > 0;
    at("count").textContent = found.length === state.models.length ? `${found.length}` : `${found.length} of ${state.models.length}`;
    const names = state.models.map((model) => model.name);
    if ([...at("model").options].map((option) => option.value).join("\n") !== names.join("\n")) {
      at("model").replaceChildren(...names.map((name) => { const option = make("option", name); option.value = name; return option; }));
    }
    if (first || !names.includes(chosen)) {
      const best = state.models.find((model) => model.ports.includes("responses")) ?? state.models[0];
      if (best) choose(best.name);
    } else {
      at("model").value = chosen;
    }
  };

  // --- try it -----------------------------------------------------------------------------------------------

  const shown = (failed, text) => {
    at("text").className = failed ? "bad" : "";
    at("text").textContent = text;
  };

  const faultOf = (body) => body?.error?.message ?? body?.message ?? "The answer could not be read.";

  const take = (chunk, answer) => {
    if (chunk.error) throw new Error(faultOf(chunk));
    const delta = chunk.choices?.[0]?.delta ?? {};
    const thought = delta.reasoning_content ?? delta.reasoning ?? "";
    if (typeof thought === "string") answer.thought += thought;
    if (typeof delta.content === "string") answer.text += delta.content;
    answer.tokens = chunk.usage?.completion_tokens ?? answer.tokens;
    if (!answer.first && (answer.thought || answer.text)) answer.first = performance.now();
    at("thinking").hidden = !answer.thought;
    at("thought").textContent = answer.thought;
    shown(false, answer.text);
  };

  const read = async (body, answer) => {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + value).split(/\r?\n/);
      rest = lines.pop();
      for (const line of lines) {
        const data = line.startsWith("data:") ? line.slice(5).trim() : "";
        if (data && data !== "[DONE]") take(JSON.parse(data), answer);
      }
    }
  };

  const send = async () => {
    if (running) { running.abort(); return; }
    running = new AbortController();
    at("send").textContent = "Stop";
    at("answer").hidden = false;
    at("thinking").hidden = true;
    at("facts").textContent = "";
    shown(false, "…");
    const began = performance.now();
    const answer = { text: "", thought: "", tokens: null, first: 0 };
    const key = at("key").value.trim();
    const headers = { "content-type": "application/json", ...(key && { authorization: `Bearer ${key}` }) };
    const messages = [{ role: "user", content: at("prompt").value }];
    const body = JSON.stringify({ model: chosen, messages, stream: true, stream_options: { include_usage: true } });
    try {
      const reply = await fetch("/v1/chat/completions", { method: "POST", headers, body, signal: running.signal });
      if (!reply.ok) throw new Error(`${reply.status}: ${faultOf(await reply.json().catch(() => null))}`);
      await read(reply.body, answer);
      if (!answer.text) shown(false, "(no text)");
      const seconds = (ms) => `${(ms / 1000).toFixed(2)} s`;
      const facts = [`first word after ${seconds((answer.first || performance.now()) - began)}`, `${seconds(performance.now() - began)} in all`];
      if (answer.tokens) facts.push(`${answer.tokens} tokens`);
      at("facts").textContent = facts.join(", ");
    } catch (error) {
      if (error.name === "AbortError") at("facts").textContent = "stopped";
      else shown(true, (answer.text ? `${answer.text}\n\n` : "") + error.message);
    } finally {
      running = null;
      at("send").textContent = "Send";
      load();
    }
  };

  at("choice").addEventListener("submit", (event) => event.preventDefault());
  at("try").addEventListener("submit", (event) => { event.preventDefault(); send(); });
  at("model").addEventListener("change", () => choose(at("model").value));
  at("search").addEventListener("input", () => showModels(false));
  at("key").addEventListener("change", load);
  addEventListener("hashchange", () => { if (state) showCard(); });
  setInterval(() => { if (!document.hidden && !running) load(); }, POLL_MS);
  load();
})();
