"use strict";
// One item at a time. What models wrote is only ever set as text.
(function () {
  const KEYS = {
    ArrowLeft: "left", ArrowRight: "right", ArrowDown: "tie", 1: "left", 2: "right", t: "tie", b: "both-bad", s: "skip", f: "flag",
    u: "undo", Backspace: "undo",
  };
  const byId = (id) => document.getElementById(id);
  let item = null;
  let waiting = false;

  function show(next) {
    item = next;
    const ended = item.place === null;
    byId("item").hidden = ended;
    for (const id of ["prompt", "left", "right"]) byId(id).textContent = ended ? "" : item[id];
    byId("progress").max = Math.max(item.total, 1);
    byId("progress").value = item.done;
    byId("progress-text").textContent = ended ? `all ${item.total} done; thank you` : `${item.done + 1} of ${item.total}`;
    for (const button of document.querySelectorAll("[data-choice]"))
      button.disabled = button.dataset.choice === "undo" ? !item.undo : ended;
  }

  async function ask(path, body) {
    const answer = await fetch(path, body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    if (answer.status !== 200 && answer.status !== 409) throw new Error(await answer.text());
    byId("said").textContent = answer.status === 409 ? "answered elsewhere already; this is where it goes on" : "";
    show(await answer.json());
  }

  async function send(path, body) {
    if (waiting) return;
    waiting = true;
    try {
      await ask(path, body);
    } catch (error) {
      byId("said").textContent = `not kept: ${error.message}. Is the command still running? Then try again.`;
    }
    waiting = false;
  }

  function choose(choice) {
    const button = document.querySelector(`[data-choice="${choice}"]`);
    if (item && !button.disabled) send("/answer", { place: item.place, choice });
  }

  document.addEventListener("keydown", (event) => {
    const choice = Object.hasOwn(KEYS, event.key) ? KEYS[event.key] : null;
    // A key that is held down is one answer.
    if (!choice || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    choose(choice);
  });
  for (const button of document.querySelectorAll("[data-choice]"))
    button.addEventListener("click", () => choose(button.dataset.choice));
  send("/item");
})();
