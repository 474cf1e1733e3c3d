"use strict";
// Everything that comes from the gateway goes into the page as text, never as markup: names of models and words
// of answers were written by others. The key stays in its field.
(() => {
  const at = (id) => document.getElementById(id);
  const POLL_MS = 10000;
  const ROWS = 25;
  const KEYS = {
    own: { label: "API key", placeholder: "your-key", lead: "Clients send their own key." },
    any: { label: "API key", placeholder: "not needed", lead: "No key is needed." },
    held: { label: "API key", placeholder: "not needed", lead: "The gateway holds a key for clients that send none." },
    token: { label: "Client token", placeholder: "your-token", lead: "The gateway holds the key; clients send a client token in its place." },
  };
  const SAFE_NAME = /^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$/;

  let state = null;
  let chosen = null;
  let running = null;
  let asked = 0;
  let everything = false;

  const make = (tag, text, className) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (className) element.className = className;
    return element;
  };

  // Where this page is, which may be below a path of some proxy's choosing.
  const here = location.origin + location.pathname.replace(/\/+$/, "");
  const portOf = (url) => new URL(url).port || (url.startsWith("https:") ? "443" : "80");
  const proxied = () => portOf(here) !== String(state.port);

  // The address of each port as this browser reaches it, null for none that is known. Behind a proxy the page's own
  // address serves what its port serves; the responses port serves chat as well.
  const addresses = () => {
    const beside = (number) => {
      if (number === null) return null;
      if (number === state.port) return here;
      return proxied() ? null : `${location.protocol}//${location.hostname}:${number}`;
    };
    const responses = beside(state.ports.responses);
    return { chat: beside(state.ports.chat) ?? responses, responses };
  };

  const fill = (text, where) => text
    .replaceAll("{chat}", where.chat ?? "")
    .replaceAll("{responses}", where.responses ?? "")
    .replaceAll("{port}", where.chat === null ? "" : portOf(where.chat))
    .replaceAll("{model}", SAFE_NAME.test(chosen ?? "") ? chosen : "MODEL");

  // --- state ------------------------------------------------------------------------------------------------

  const upstreamPill = () => {
    const { breaker, list_known: known } = state;
    if (breaker.is_open) return ["bad", "upstream fails"];
    if (breaker.open_models.length) return ["warn", "upstream: some models fail"];
    return known ? ["good", "upstream answers"] : ["warn", "upstream shows no models"];
  };

  const breakerPill = () => {
    const { enabled, is_open: open, consecutive_failures: failures, open_models: models } = state.breaker;
    if (!enabled) return ["", "breaker off"];
    if (open || models.length) return ["bad", "breaker open"];
    return failures ? ["warn", `breaker closed, ${failures} ${failures > 1 ? "failures" : "failure"}`] : ["good", "breaker closed"];
  };

  const otherPort = () => {
    const other = state.surface === "chat" ? "responses" : "chat";
    if (state.ports[other] === null || proxied()) return [];
    const link = make("a", String(state.ports[other]));
    link.href = `${addresses()[other]}/${location.hash}`;
    return [`The ${other} port is `, link, ". "];
  };

  const showState = () => {
    const port = ["", `${state.surface} port ${state.port}`];
    at("pills").replaceChildren(...[port, upstreamPill(), breakerPill()].map(([kind, text]) => make("li", text, kind)));
    at("version").textContent = state.version;
    document.title = `Gateway, ${state.surface} port`;
    const takes = state.surface === "chat" ? "Chat Completions" : "Responses, Messages and Chat Completions";
    const api = state.upstream.speaks === "chat" ? "Chat Completions" : "Responses";
    const upstream = `The upstream is ${state.upstream.name}; it speaks ${api}.`;
    at("lead").replaceChildren(`This port takes ${takes}. `, ...otherPort(), `${upstream} ${KEYS[state.key].lead}`);
    const notices = [];
    if (state.breaker.is_open) notices.push("The upstream failed several times in a row. Requests are refused until it is tried again, soon and by itself.");
    if (state.breaker.open_models.length) notices.push(`These models fail at the moment: ${state.breaker.open_models.join(", ")}.`);
    if (!state.list_known) notices.push(`The upstream shows no model list.${KEYS[state.key].label === "API key" ? " It may need a key: type yours under Try it." : ""} The models below are a guess.`);
    at("notice").textContent = notices.join(" ");
    at("notice").hidden = notices.length === 0;
    at("key-label").textContent = KEYS[state.key].label;
    at("key").placeholder = KEYS[state.key].placeholder;
  };

  const load = async () => {
    const headers = at("key").value ? { authorization: `Bearer ${at("key").value.trim()}` } : {};
    const ticket = ++asked;
    try {
      const answer = await fetch(`${here}/page.json`, { headers, cache: "no-store" });
      const fresh = await answer.json();
      if (!answer.ok) throw new Error(faultOf(fresh));
      if (ticket !== asked) return;
      const before = state;
      state = fresh;
      showState();
      // What has not changed stays: a person may be reading, or about to click.
      if (JSON.stringify(before?.models) !== JSON.stringify(state.models)) showModels();
      if (JSON.stringify(before?.clients) !== JSON.stringify(state.clients)) showTabs();
    } catch (error) {
      const gone = error instanceof TypeError;
      at("pills").replaceChildren(make("li", gone ? "the gateway does not answer" : error.message, "bad"));
    }
  };

  // --- clients ----------------------------------------------------------------------------------------------

  const current = () => state.clients.find((client) => `#${client.id}` === location.hash) ?? state.clients[0];

  // A page that was opened over plain HTTP has no clipboard: the old way still works in most browsers.
  const copyTheOldWay = (text) => {
    const area = make("textarea", text, "away");
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  };

  const copy = async (button, shown) => {
    const text = shown.textContent;
    const done = await navigator.clipboard?.writeText(text).then(() => true, () => false) || copyTheOldWay(text);
    if (!done) getSelection().selectAllChildren(shown);
    button.textContent = done ? "Copied" : "Selected";
    button.focus();
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  };

  const snippet = ({ where, text }, urls) => {
    const box = make("div", undefined, "snippet");
    const head = make("div");
    const shown = make("pre", fill(text, urls).trimEnd());
    const button = make("button", "Copy", "small");
    button.setAttribute("aria-label", `Copy: ${where}`);
    button.addEventListener("click", () => copy(button, shown));
    head.append(make("h3", where), button);
    box.append(head, shown);
    return box;
  };

  const showCard = () => {
    const client = current();
    const urls = addresses();
    for (const tab of at("tabs").children) {
      const selected = tab.dataset.id === client.id;
      tab.setAttribute("aria-selected", String(selected));
      tab.tabIndex = selected ? 0 : -1;
    }
    const known = (text) => urls.responses !== null || !text.includes("{responses}");
    const parts = [];
    const note = client.note.filter(known).join(" ");
    if (note) parts.push(make("p", fill(note, urls)));
    const model = state.models.find((one) => one.name === chosen);
    if (model && !model.ports.includes(client.surface)) {
      parts.push(make("p", `${chosen} is not listed for this client's port; it may lack what ${client.title} needs.`, "notice"));
    }
    const usable = client.snippets.filter((one) => known(one.text));
    const pointed = usable.some((one) => /\{(chat|responses|port)\}/.test(one.text));
    if (!pointed) {
      const where = state.ports.responses === null
        ? "which this gateway does not serve."
        : "which has another address: open its page to see the text.";
      parts.splice(0, parts.length, make("p", `${client.title} needs the responses port, ${where}`, "notice"));
    }
    at("card").replaceChildren(...parts, ...(pointed ? usable : []).map((one) => snippet(one, urls)));
  };

  const openTab = (tab) => {
    history.replaceState(null, "", `#${tab.dataset.id}`);
    showCard();
  };

  const showTabs = () => {
    at("tabs").replaceChildren(...state.clients.map((client) => {
      const tab = make("button", client.title);
      tab.dataset.id = client.id;
      tab.setAttribute("role", "tab");
      tab.addEventListener("click", () => openTab(tab));
      return tab;
    }));
    showCard();
  };

  const turnTab = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const tabs = [...at("tabs").children];
    const next = tabs.at((tabs.indexOf(document.activeElement) + step) % tabs.length);
    next.focus();
    openTab(next);
  };

  // --- models -----------------------------------------------------------------------------------------------

  const tokens = (count) => {
    if (count === null) return "";
    if (count >= 999500) return `${Number((count / 1e6).toPrecision(3))}M`;
    return count >= 1000 ? `${Math.round(count / 1000)}k` : String(count);
  };
  const price = (pair) => {
    if (pair === null) return "";
    return pair.some((usd) => usd > 0) ? pair.map((usd) => Number(usd.toPrecision(3))).join(" / ") : "free";
  };
  const skills = (model) => ["tools", "vision", "reasoning"].filter((skill) => model[skill]);

  const choose = (name) => {
    chosen = name;
    at("model").value = name;
    at("whom").textContent = name;
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
    const can = make("td", undefined, "can");
    can.append(...skills(model).map((skill) => make("span", skill, "tag")));
    line.append(name, cell(tokens(model.context), "context", "number"), can,
      cell(price(model.price), "$ per million", "number"),
      cell(model.ports.length > 1 ? "both" : model.ports[0], "port"));
    return line;
  };

  const showRows = () => {
    const words = at("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const text = (model) => `${model.name} ${model.of ?? ""} ${skills(model).join(" ")}`.toLowerCase();
    const found = state.models.filter((model) => words.every((word) => text(model).includes(word)));
    at("models").replaceChildren(...found.slice(0, everything ? found.length : ROWS).map(row));
    at("none").hidden = found.length > 0;
    at("none").textContent = state.models.length ? "No model matches." : "The upstream lists no model.";
    at("more").hidden = everything || found.length <= ROWS;
    at("more").textContent = `Show all ${found.length}`;
    at("count").textContent = found.length === state.models.length ? `${found.length}` : `${found.length} of ${state.models.length}`;
  };

  const showModels = () => {
    const names = state.models.map((model) => model.name);
    at("model").replaceChildren(...names.map((name) => { const option = make("option", name); option.value = name; return option; }));
    showRows();
    const best = state.models.find((model) => model.ports.includes("responses")) ?? state.models[0];
    if (names.includes(chosen)) choose(chosen);
    else if (best) choose(best.name);
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

  const words = (status, body) => {
    if (status !== 401 || at("key").value) return `${status}: ${faultOf(body)}`;
    at("key").focus();
    return `${state.key === "token" ? "A client token" : "A key"} is needed here: type yours above.`;
  };

  const send = async () => {
    if (running) { running.abort(); return; }
    if (!state || !chosen) return;
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
      const reply = await fetch(`${here}/v1/chat/completions`, { method: "POST", headers, body, signal: running.signal });
      if (!reply.ok) throw new Error(words(reply.status, await reply.json().catch(() => null)));
      await read(reply.body, answer);
      if (!answer.text) shown(false, "(no text)");
      const seconds = (ms) => `${(ms / 1000).toFixed(2)} s`;
      const facts = [`first word after ${seconds((answer.first || performance.now()) - began)}`, `${seconds(performance.now() - began)} in all`];
      if (answer.tokens) facts.push(`${answer.tokens} tokens`);
      at("facts").textContent = facts.join(", ");
    } catch (error) {
      if (error.name === "AbortError") at("facts").textContent = "stopped";
      else shown(true, (answer.text ? `${answer.text}\n\n` : "") + (error instanceof TypeError ? "The connection to the gateway broke off." : error.message));
    } finally {
      running = null;
      at("send").textContent = "Send";
      load();
    }
  };

  at("try").addEventListener("submit", (event) => { event.preventDefault(); send(); });
  at("model").addEventListener("change", () => choose(at("model").value));
  at("tabs").addEventListener("keydown", turnTab);
  at("search").addEventListener("input", () => { if (state) showRows(); });
  at("more").addEventListener("click", () => { everything = true; showRows(); });
  at("key").addEventListener("change", load);
  addEventListener("hashchange", () => { if (state) showCard(); });
  setInterval(() => { if (!document.hidden && !running) load(); }, POLL_MS);
  load();
})();
