"use strict";
// Tables of texts: filter, choose a number, sort. A live page fetches itself again and takes over what changed.
(function () {
  function rowNumbers(row, metric) {
    const sides = JSON.parse(row.dataset.numbers)[metric] || [null, null];
    const both = sides[0] !== null && sides[1] !== null;
    return { before: sides[0], after: sides[1], gain: both ? sides[1] - sides[0] : null };
  }

  function wanted(row, which, gain) {
    if (row.dataset.kinds) return which === "all" || row.dataset.kinds.split(" ").includes(which);
    const kinds = { better: gain > 0, worse: gain < 0, changed: row.dataset.changed > 0, same: row.dataset.changed === "0" };
    return which === "all" || kinds[which];
  }

  function text(value) {
    return value === null ? "–" : String(Number(value.toPrecision(3)));
  }

  function sortKey(row, key, numbers) {
    if (key in numbers) return numbers[key];
    if (key === "prompt") return (row.querySelector("[data-prompt]") || row.cells[0]).textContent;
    return key in row.dataset ? Number(row.dataset[key]) : null;
  }

  function compare(a, b) {
    if (a === null || b === null) return (a === null) - (b === null);
    return typeof a === "string" ? a.localeCompare(b) : a - b;
  }

  function sorted(rows, table, numbers) {
    const head = table.querySelector("th[aria-sort]");
    if (!head) return rows;
    const key = head.firstElementChild.dataset.sort;
    const sign = head.getAttribute("aria-sort") === "ascending" ? 1 : -1;
    return rows.sort(function (a, b) {
      const x = sortKey(a, key, numbers.get(a)), y = sortKey(b, key, numbers.get(b));
      return x === null || y === null ? compare(x, y) : sign * compare(x, y);
    });
  }

  function apply(block) {
    const find = (name) => block.querySelector("[data-tool=" + name + "]");
    const words = find("search").value.toLowerCase();
    const which = find("which") ? find("which").value : "all";
    const metric = find("metric") ? find("metric").value : "";
    const table = block.querySelector("table"), body = table.tBodies[0];
    const rows = Array.from(body.rows), numbers = new Map();
    let count = 0;
    rows.forEach(function (row) {
      const found = rowNumbers(row, metric);
      numbers.set(row, found);
      row.querySelectorAll("[data-number]").forEach((cell) => { cell.textContent = text(found[cell.dataset.number]); });
      row.hidden = !(row.textContent.toLowerCase().includes(words) && wanted(row, which, found.gain));
      count += !row.hidden;
    });
    sorted(rows, table, numbers).forEach((row) => body.append(row));
    find("count").textContent = count + " of " + rows.length + " shown";
  }

  function applyAll() {
    document.querySelectorAll("[data-texts]").forEach(apply);
  }

  ["input", "change"].forEach((kind) => document.addEventListener(kind, function (event) {
    const block = event.target.closest("[data-texts]");
    if (block) apply(block);
  }));

  document.addEventListener("click", function (event) {
    const button = event.target.closest("button[data-sort]");
    if (!button) return;
    const head = button.parentElement;
    const next = head.getAttribute("aria-sort") === "descending" ? "ascending" : "descending";
    head.parentElement.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", next);
    apply(button.closest("[data-texts]"));
  });

  // --- live

  const seen = new Map();

  function parts(page) {
    return new Map(Array.from(page.querySelectorAll("[data-part]"), (part) => [part.dataset.part, part]));
  }

  function remember() {
    parts(document).forEach((part, name) => seen.set(name, part.innerHTML));
  }

  function takeAll(next) {
    // Something new stands between the parts: the whole page, with what the reader had typed and opened.
    const typed = Array.from(document.querySelectorAll("[data-tool][id]"), (tool) => [tool.id, tool.value]);
    const open = Array.from(document.querySelectorAll("details[open][id]"), (one) => one.id);
    document.querySelector("main").innerHTML = next.querySelector("main").innerHTML;
    remember();
    typed.forEach(([id, value]) => { if (document.getElementById(id)) document.getElementById(id).value = value; });
    open.forEach((id) => { if (document.getElementById(id)) document.getElementById(id).open = true; });
  }

  function take(html) {
    const next = new DOMParser().parseFromString(html, "text/html");
    const now = parts(document), then = parts(next);
    if (Array.from(now.keys()).join("\n") !== Array.from(then.keys()).join("\n")) {
      takeAll(next);
    } else {
      then.forEach(function (part, name) {
        if (seen.get(name) === part.innerHTML) return;
        seen.set(name, part.innerHTML);
        now.get(name).innerHTML = part.innerHTML;
      });
    }
    applyAll();
  }

  async function ask(mark) {
    const state = document.querySelector(".live span");
    let answer = null;
    try {
      answer = await fetch("/", { headers: mark ? { "If-None-Match": mark } : {}, cache: "no-store" });
      if (answer.status === 200) take(await answer.text());
    } catch (error) {
      answer = null;
    }
    const line = document.querySelector(".live span") || state;
    line.textContent = answer && answer.status < 400 ? "follows the run" : "the watching command has ended; this is its last state";
    setTimeout(ask, 2000, answer && answer.ok ? answer.headers.get("ETag") : mark);
  }

  applyAll();
  if (document.querySelector(".live")) {
    remember();
    ask(null);
  }
})();
