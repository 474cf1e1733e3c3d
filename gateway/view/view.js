"use strict";
// Everything that was recorded goes into the page as text, never as markup: others wrote it. The exchanges are packed
// blocks of this document, unpacked when they are opened; nothing is asked of anybody.
(() => {
  const at = (id) => document.getElementById(id);
  const { facts, columns, rows } = JSON.parse(at("list").textContent);
  const COLUMN = Object.fromEntries(columns.map((name, place) => [name, place]));
  const of = (row, name) => row[COLUMN[name]];
  const PAGE = 200;
  const LINES = 4000;

  const make = (tag, text, className) => {
    const element = document.createElement(tag);
    if (text !== undefined && text !== null) element.textContent = text;
    if (className) element.className = className;
    return element;
  };
  const draw = (tag, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const titled = (element, text) => { element.append(draw("title", {}, text)); return element; };

  const number = (value) => value === null || value === undefined ? "–" : Number(value).toLocaleString("en");
  const seconds = (value) => {
    if (value === null || value === undefined) return "–";
    if (value < 0.001) return `${Math.round(value * 1e6)} µs`;
    if (value < 1) return `${Math.round(value * 1000)} ms`;
    if (value < 60) return `${value.toFixed(value < 10 ? 2 : 1)} s`;
    return `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
  };
  const milliseconds = (value) => seconds(value === null ? null : value / 1000);
  const bytes = (size) => size < 1024 ? `${size} B` : size < 1048576 ? `${(size / 1024).toFixed(1)} KiB` : `${(size / 1048576).toFixed(1)} MiB`;
  const clock = (stamp) => {
    const time = new Date(stamp ?? NaN);
    return Number.isNaN(time.getTime()) ? "–" : time.toLocaleTimeString("en-GB", { hour12: false });
  };
  const ENDS = { complete: "good", client_gone: "warn", refused: "warn", closed: "" };
  const endKind = (end) => end === null || end === undefined ? "" : ENDS[end] ?? "bad";
  const statusKind = (status) => status === null ? "" : status < 400 ? "good" : status < 500 ? "warn" : "bad";
  const words = (end) => end === null || end === undefined ? "no end" : end.replaceAll("_", " ");

  // --- the list ---------------------------------------------------------------------------------------------

  const hays = rows.map((row) => ["id", "path", "model", "status", "end", "said"].map((name) => of(row, name) ?? "").join(" ").toLowerCase());
  const isProblem = (row) => of(row, "warnings") > 0 || (of(row, "status") ?? 500) >= 400 || of(row, "end") !== "complete";
  const longest = rows.reduce((most, row) => Math.max(most, of(row, "duration") ?? 0), 1);

  let shown = [];
  let built = 0;
  let selected = null;

  const cell = (text, className) => make("td", text, className);

  const rowOf = (place) => {
    const row = rows[place];
    const tr = make("tr");
    tr.dataset.place = place;
    tr.setAttribute("aria-selected", place === selected);
    const time = cell(clock(of(row, "time")), "time");
    time.append(make("span", `port ${of(row, "port") ?? "–"}`, "under"));
    const model = make("td");
    model.append(make("span", of(row, "model") ?? "", "model"), make("span", `${of(row, "method") === "POST" ? "" : of(row, "method") ?? ""} ${of(row, "path") ?? of(row, "id")}`, "under"));
    const end = make("td", undefined, "marks");
    end.append(make("span", of(row, "status") ?? "–", `mark ${statusKind(of(row, "status"))}`), " ");
    if (of(row, "end") !== "complete") end.append(make("span", words(of(row, "end")), `mark ${endKind(of(row, "end"))}`), " ");
    if (of(row, "warnings")) end.append(make("span", `⚠ ${of(row, "warnings")}`, "mark warn"), " ");
    if (of(row, "dropped")) end.append(make("span", `${of(row, "dropped")} dropped`, "mark soft"));
    const tokens = cell(`${number(of(row, "input"))} in`, "number");
    tokens.append(make("span", `${number(of(row, "output"))} out`, "under"));
    const duration = cell(milliseconds(of(row, "duration")), "number");
    const meter = draw("svg", { class: "meter", height: 3, viewBox: "0 0 100 3", preserveAspectRatio: "none" });
    const share = 100 * Math.log1p(of(row, "duration") ?? 0) / Math.log1p(longest);
    meter.append(draw("rect", { x: 100 - share, y: 0, width: share, height: 3 }));
    duration.append(meter, make("span", `first ${milliseconds(of(row, "first"))}`, "under"));
    tr.append(time, model, end, tokens, duration);
    return tr;
  };

  // Only so many rows are made at once; the rest follow as one scrolls to them.
  const buildMore = () => {
    const next = shown.slice(built, built + PAGE);
    built += next.length;
    at("rows").append(...next.map(rowOf));
  };

  const filter = () => {
    const wanted = at("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const [port, model, end] = ["port", "model", "end"].map((name) => at(name).value);
    const problems = at("problems").checked;
    shown = rows.map((_, place) => place).filter((place) => {
      const row = rows[place];
      return (!port || String(of(row, "port")) === port) && (!model || of(row, "model") === model)
        && (!end || words(of(row, "end")) === end) && (!problems || isProblem(row))
        && wanted.every((word) => hays[place].includes(word));
    });
    const order = at("order").value;
    if (order) shown.sort((one, other) => (of(rows[other], order) ?? -1) - (of(rows[one], order) ?? -1));
    built = 0;
    at("rows").replaceChildren();
    buildMore();
    at("count").textContent = shown.length === rows.length ? number(rows.length) : `${number(shown.length)} of ${number(rows.length)}`;
    at("none").hidden = shown.length > 0;
  };

  const fillChoice = (name, values) => {
    const options = [make("option", "all")];
    options[0].value = "";
    for (const value of [...new Set(values)].filter((one) => one !== null && one !== undefined)) {
      const option = make("option", value);
      option.value = value;
      options.push(option);
    }
    at(name).replaceChildren(...options);
  };

  // --- one exchange -----------------------------------------------------------------------------------------

  const unpack = async (place) => {
    const packed = at(`x${place}`);
    if (packed === null) return null;
    const raw = Uint8Array.from(atob(packed.textContent), (one) => one.charCodeAt(0));
    const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  };

  const show = async (place) => {
    selected = place;
    for (const tr of at("rows").children) tr.setAttribute("aria-selected", Number(tr.dataset.place) === place);
    const row = rows[place];
    const detail = await unpack(place);
    if (selected !== place) return;
    history.replaceState(null, "", `#${encodeURIComponent(of(row, "id"))}`);
    const box = at("detail");
    box.replaceChildren(make("h2", `${of(row, "method") ?? ""} ${of(row, "path") ?? "request not recorded"} `));
    box.firstChild.append(make("small", of(row, "id")));
    box.append(factsOf(row, detail));
    if (detail === null) {
      box.append(make("p", "This page holds the details of the latest exchanges only; this one is older.", "quiet"));
      return;
    }
    if (detail.warnings.length) {
      const notice = make("div", undefined, "notice");
      const list = make("ul");
      list.append(...detail.warnings.map((one) => make("li", one)));
      notice.append(list);
      box.append(notice);
    }
    if (detail.dropped.length) box.append(make("p", `Dropped by the translation: ${detail.dropped.join(", ")}`, "quiet dropped"));
    const picture = make("div", undefined, "timeline");
    box.append(picture);
    const redraw = () => picture.replaceChildren(timeline(detail, Math.max(280, picture.clientWidth)));
    redraw();
    onresize = redraw;
    box.append(...tabs({
      "What was said": () => said(detail),
      "What changed": () => changed(detail),
      Requests: () => requests(detail),
      Answers: () => answers(detail),
    }));
  };

  const factsOf = (row, detail) => {
    const list = make("ul", undefined, "pills");
    const add = (text, kind) => list.append(make("li", text, kind));
    add(`status ${of(row, "status") ?? "–"}`, statusKind(of(row, "status")));
    add(words(of(row, "end")), endKind(of(row, "end")));
    if (of(row, "model")) add(of(row, "model"));
    add(`port ${of(row, "port") ?? "–"}`);
    if (of(row, "input") !== null || of(row, "output") !== null) add(`${number(of(row, "input"))} in, ${number(of(row, "output"))} out`);
    const speed = speedOf(row, detail);
    if (speed) add(`${speed.toFixed(speed < 10 ? 1 : 0)} tokens/s`);
    if (of(row, "first") !== null) add(`first byte ${milliseconds(of(row, "first"))}`);
    if (of(row, "duration") !== null) add(`${milliseconds(of(row, "duration"))} in all`);
    if (of(row, "attempts") > 1) add(`${of(row, "attempts")} attempts`, "warn");
    return list;
  };

  // From the first byte of the upstream's answer to its last one.
  const speedOf = (row, detail) => {
    const marks = detail?.attempts.at(-1)?.answer.marks ?? [];
    const lasted = marks.length > 1 ? marks.at(-1)[0] - marks[0][0] : 0;
    return of(row, "output") && lasted > 0.005 ? of(row, "output") / lasted : null;
  };

  const tabs = (panels) => {
    const bar = make("div", undefined, "tabs");
    bar.setAttribute("role", "tablist");
    const panel = make("div");
    panel.setAttribute("role", "tabpanel");
    for (const [name, build] of Object.entries(panels)) {
      const button = make("button", name);
      button.type = "button";
      button.setAttribute("role", "tab");
      button.addEventListener("click", () => {
        for (const other of bar.children) other.setAttribute("aria-selected", other === button);
        tabs.last = name;
        panel.replaceChildren(build());
      });
      bar.append(button);
    }
    ([...bar.children].find((one) => one.textContent === tabs.last) ?? bar.firstChild).click();
    return [bar, panel];
  };

  // --- the picture ------------------------------------------------------------------------------------------

  const LEFT = 92;
  const RIGHT = 26;
  const LANE = 54;

  const timeline = (detail, width) => {
    const lanes = [{ name: "client", kind: "client", request: detail.client, answer: detail.answer }];
    for (const attempt of detail.attempts) {
      const name = detail.attempts.length > 1 ? `upstream ${attempt.number}` : "upstream";
      lanes.push({ name, kind: "upstream", request: attempt.request, answer: attempt.answer });
    }
    const times = lanes.flatMap(({ request, answer }) => [request?.at, answer.at, answer.ended, answer.marks.at(-1)?.[0]]);
    const whole = Math.max(0.001, ...times.filter((one) => typeof one === "number"));
    const x = (time) => LEFT + (time / whole) * (width - LEFT - RIGHT);
    const height = lanes.length * LANE + 26;
    const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img" });
    titled(svg, `Timeline of ${seconds(whole)}: ${lanes.map((lane) => `${lane.name} ${lane.answer.chunks} chunks, ${words(lane.answer.end)}`).join("; ")}`);
    svg.append(...axis(whole, x, height));
    lanes.forEach((lane, place) => svg.append(laneOf(lane, place * LANE + 30, x, whole)));
    return svg;
  };

  const axis = (whole, x, height) => {
    const rough = whole / 6;
    const unit = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((one) => one * unit).find((one) => one >= rough);
    const drawn = [];
    for (let time = 0; time <= whole * 1.0001; time += step) {
      drawn.push(draw("line", { class: "axis", x1: x(time), x2: x(time), y1: 6, y2: height - 18 }));
      drawn.push(draw("text", { x: x(time), y: height - 5, "text-anchor": "middle" }, time === 0 ? "0" : seconds(time)));
    }
    return drawn;
  };

  const laneOf = ({ name, kind, request, answer }, y, x, whole) => {
    const lane = draw("g", {});
    lane.append(draw("text", { class: "lane", x: 0, y: y - 2 }, name));
    lane.append(draw("text", { x: 0, y: y + 12 }, answer.size ? `${bytes(answer.size)}, ${number(answer.chunks)} ×` : ""));
    const marks = answer.marks;
    const begin = request?.at ?? answer.at ?? marks[0]?.[0] ?? 0;
    const last = answer.ended ?? marks.at(-1)?.[0] ?? answer.at ?? begin;
    lane.append(...gaps([begin, ...(answer.at === null ? [] : [answer.at]), ...marks.map((one) => one[0]), last], y, x, whole));
    lane.append(...flow(marks, kind, y, x, whole));
    lane.append(draw("line", { class: kind, x1: x(begin), x2: x(last), y1: y, y2: y, "stroke-width": 1.5 }));
    for (const [time, size] of marks) {
      const tall = 3 + 2.2 * Math.log2(1 + size / 32);
      lane.append(titled(draw("line", { class: kind, x1: x(time), x2: x(time), y1: y - tall, y2: y, "stroke-width": 1 }), `${seconds(time)}: ${bytes(size)}`));
    }
    if (request) {
      const from = x(request.at);
      lane.append(titled(draw("path", { class: kind, d: `M${from} ${y - 6} l9 6 l-9 6 z` }), `request at ${seconds(request.at)}, ${bytes(request.size)}`));
    }
    if (answer.at !== null) {
      const head = x(answer.at);
      lane.append(titled(draw("path", { class: kind, d: `M${head} ${y - 6} l5 6 l-5 6 l-5 -6 z` }), `head at ${seconds(answer.at)}, status ${answer.status}`));
    }
    lane.append(endMark(answer, x(last), y));
    return lane;
  };

  // Silence that is long for this exchange.
  const gaps = (times, y, x, whole) => {
    const ordered = [...times].sort((one, other) => one - other);
    const drawn = [];
    for (let place = 1; place < ordered.length; place += 1) {
      const [from, to] = [ordered[place - 1], ordered[place]];
      if (to - from < Math.max(0.25, whole * 0.08)) continue;
      drawn.push(draw("rect", { class: "gap", x: x(from), y: y - 20, width: x(to) - x(from), height: 34, rx: 3 }));
      if (x(to) - x(from) > 44) drawn.push(draw("text", { class: "gaptext", x: (x(from) + x(to)) / 2, y: y + 11, "text-anchor": "middle" }, seconds(to - from)));
    }
    return drawn;
  };

  // Bytes by time, as an area behind the marks.
  const flow = (marks, kind, y, x, whole) => {
    if (marks.length < 8) return [];
    const parts = 80;
    const sums = new Array(parts).fill(0);
    for (const [time, size] of marks) sums[Math.min(parts - 1, Math.max(0, Math.floor((time / whole) * parts)))] += size;
    const most = Math.max(...sums);
    const points = sums.map((sum, place) => `${x((place + 0.5) / parts * whole)},${y - 26 * sum / most}`);
    return [draw("polygon", { class: `${kind} flow`, points: `${x(0)},${y} ${points.join(" ")} ${x(whole)},${y}` })];
  };

  const endMark = (answer, x, y) => {
    const text = `${words(answer.end)}${answer.error ? `: ${answer.error}` : ""}`;
    if (answer.end === "complete") return titled(draw("circle", { class: "end-good", cx: x, cy: y, r: 5 }), text);
    if (answer.end === null || answer.end === "closed" || answer.end === "client_gone") return titled(draw("circle", { class: "end-open", cx: x, cy: y, r: 5 }), text);
    return titled(draw("path", { class: "end-bad", d: `M${x - 5} ${y - 5} l10 10 m-10 0 l10 -10` }), text);
  };

  // --- what is inside ---------------------------------------------------------------------------------------

  const titledBlock = (title, ...inner) => {
    const block = make("div", undefined, "block");
    block.append(make("h3", title), ...inner);
    return block;
  };

  const said = ({ said: what, answer }) => {
    const box = make("div");
    if (what.reasoning) {
      const block = titledBlock("Reasoning", make("div", what.reasoning, "said"));
      block.classList.add("reasoning");
      box.append(block);
    }
    if (what.text) box.append(titledBlock("Text", make("div", what.text, "said")));
    if (what.refusal) box.append(titledBlock("Refusal", make("div", what.refusal, "said")));
    for (const call of what.calls ?? []) {
      box.append(titledBlock(`Tool call ${call.name}  ${call.id}`, make("pre", pretty(call.arguments))));
    }
    if (what.finish) box.append(titledBlock("Finish reason", make("p", what.finish, "quiet")));
    if (!box.children.length) {
      box.append(make("p", answer.status !== null && answer.status >= 400 ? "No answer of a model; the error stands under Answers." : "No answer of a model.", "quiet"));
    }
    return box;
  };

  const pretty = (value) => {
    if (typeof value !== "string") return JSON.stringify(value, null, 2);
    try {
      return JSON.stringify(JSON.parse(value), null, 2);
    } catch {
      return value;
    }
  };

  const changed = ({ changes, attempts }) => {
    const box = make("div");
    if (changes === null) {
      box.append(make("p", attempts.length ? "Nothing to compare." : "The gateway answered this itself; the upstream was not asked.", "quiet"));
      return box;
    }
    if (changes.same === -1) {
      box.append(make("p", "Nothing: the request left byte for byte as it came.", "quiet"));
      return box;
    }
    box.append(make("p", `${number(changes.same)} members stand at the same place with the same value.`, "quiet"));
    const table = (title, lines, arrow) => {
      if (!lines.length) return;
      const body = make("tbody");
      for (const [one, other, count] of lines) {
        const tr = make("tr");
        tr.append(cell(one), cell(`${arrow}${other}`), cell(count > 1 ? `${number(count)} ×` : "", "count"));
        body.append(tr);
      }
      const inner = make("table", undefined, "plain");
      inner.append(body);
      box.append(titledBlock(title, inner));
    };
    table("Added or rewritten", changes.added, "");
    table("Left out or rewritten", changes.left_out, "");
    table("Moved", changes.moved, "→ ");
    return box;
  };

  const headersOf = (headers) => {
    const details = make("details", undefined, "headers");
    details.append(make("summary", headers.length === 1 ? "1 header" : `${headers.length} headers`), make("pre", headers.map(([name, value]) => `${name}: ${value}`).join("\n")));
    return details;
  };

  const request = (title, one, other) => {
    if (!one) return titledBlock(title, make("p", "Not in the recording.", "quiet"));
    const block = titledBlock(`${title}: ${one.method} ${one.target}, ${bytes(one.size)}`, headersOf(one.headers));
    if (one.profile) {
      const details = make("details", undefined, "headers");
      details.append(make("summary", "What is known of the model"), make("pre", pretty(one.profile)));
      block.append(details);
    }
    if (one.body !== null) block.append(compared(one.body, other?.body));
    return block;
  };

  // Lines that the other side lacks are marked.
  const compared = (body, other) => {
    const lines = pretty(body).split("\n");
    const pre = make("pre");
    if (other === undefined || other === null || lines.length > LINES) {
      pre.textContent = lines.join("\n");
      return pre;
    }
    const bare = (line) => line.trim().replace(/,$/, "");
    const theirs = new Set(pretty(other).split("\n").map(bare));
    let run = [];
    const flush = () => { if (run.length) pre.append(`${run.join("\n")}\n`); run = []; };
    for (const line of lines) {
      if (theirs.has(bare(line))) {
        run.push(line);
      } else {
        flush();
        pre.append(make("span", line, "only"), "\n");
      }
    }
    flush();
    return pre;
  };

  const requests = ({ client, attempts }) => {
    const pair = make("div", undefined, "pair");
    pair.append(request("Client", client, attempts.at(-1)?.request));
    for (const attempt of attempts) pair.append(request(attempts.length > 1 ? `Upstream, attempt ${attempt.number}` : "Upstream", attempt.request, client));
    return pair;
  };

  const answer = (title, one) => {
    const block = titledBlock(`${title}: ${one.status === null ? "no answer" : `status ${one.status}`}, ${words(one.end)}, ${bytes(one.size)}`);
    if (one.error) block.append(make("p", one.error, "notice"));
    if (one.headers.length) block.append(headersOf(one.headers));
    if (!one.size) return block;
    const pre = make("pre", one.stream ? undefined : pretty(one.body));
    if (one.stream) {
      for (const [time, text] of one.body) {
        pre.append(make("span", time === null ? "" : `${seconds(time).padStart(7)}  `, "at"), `${text.trimEnd()}\n\n`);
      }
    }
    block.append(pre);
    return block;
  };

  const answers = (detail) => {
    const pair = make("div", undefined, "pair");
    pair.append(answer("Client", detail.answer));
    for (const attempt of detail.attempts) pair.append(answer(detail.attempts.length > 1 ? `Upstream, attempt ${attempt.number}` : "Upstream", attempt.answer));
    return pair;
  };

  // --- the page ---------------------------------------------------------------------------------------------

  const summary = () => {
    const add = (text, kind) => at("pills").append(make("li", text, kind));
    const sum = (name) => rows.reduce((total, row) => total + (of(row, name) ?? 0), 0);
    at("name").textContent = facts.name;
    if (facts.gateway) add(`gateway ${facts.gateway}`);
    if (facts.timestamp) add(`since ${new Date(facts.timestamp).toLocaleString("en-GB")}`);
    add(`${number(sum("input"))} tokens in, ${number(sum("output"))} out`);
    const problems = rows.filter(isProblem).length;
    add(problems ? `${number(problems)} with problems` : "no problems", problems ? "warn" : "good");
    if (facts.damaged) add(`${number(facts.damaged)} damaged lines`, "bad");
  };

  const move = (step) => {
    const next = shown[Math.min(shown.length - 1, Math.max(0, shown.indexOf(selected) + step))];
    if (next === undefined) return;
    while (built < shown.length && shown.indexOf(next) >= built) buildMore();
    show(next);
    [...at("rows").children].find((tr) => Number(tr.dataset.place) === next)?.scrollIntoView({ block: "nearest" });
  };

  summary();
  fillChoice("port", rows.map((row) => of(row, "port")));
  fillChoice("model", rows.map((row) => of(row, "model")));
  fillChoice("end", rows.map((row) => words(of(row, "end"))));
  filter();
  at("filters").addEventListener("input", filter);
  at("filters").addEventListener("submit", (event) => event.preventDefault());
  at("rows").addEventListener("click", (event) => {
    const tr = event.target.closest("tr");
    if (!tr) return;
    show(Number(tr.dataset.place)).then(() => {
      if (innerWidth < 1200) at("detail").scrollIntoView({ behavior: "smooth" });
    });
  });
  at("scroll").addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1 }[event.key];
    if (step) { event.preventDefault(); move(step); }
  });
  at("scroll").addEventListener("scroll", () => {
    const { scrollHeight, scrollTop, clientHeight } = at("scroll");
    if (scrollHeight - scrollTop - clientHeight < 800) buildMore();
  });
  const named = rows.findIndex((row) => encodeURIComponent(of(row, "id")) === location.hash.slice(1));
  if (rows.length) show(named < 0 ? shown[0] : named);
})();
