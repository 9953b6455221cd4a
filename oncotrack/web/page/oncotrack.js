// Keys, long lists, uploads and the warning about unsaved findings; everything else is done by the server.
(function () {
  "use strict";
  const state = (name) => window.trame && window.trame.state.get(name);

  // Of a long list only the rows that have changed are sent.
  window.trame.state.watch(["findings_changed"], function (changed) {
    if (!changed?.length) return;
    const now = new Map(changed.map((row) => [row.uid, row]));
    window.trame.state.set("findings", state("findings").map((row) => now.get(row.uid) ?? row));
  });

  // A list that was opened by mouse keeps the focus after the choice, but letters are command keys again; a list that was
  // opened by keyboard uses letters to search in it.
  let byMouse = true;
  const chosen = (element) => byMouse && element.closest?.(".v-select");
  const typing = (element) => element && !chosen(element) && (element.isContentEditable ||
    (/^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName) && !/^(checkbox|radio|button|range)$/.test(element.type)));
  const isQuestionOpen = () => document.querySelector(".v-dialog.v-overlay--active, .v-menu.v-overlay--active");

  function nameOf(event) {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const shift = event.shiftKey && (event.ctrlKey || event.metaKey) ? "Shift+" : "";
    return (event.ctrlKey || event.metaKey ? "Ctrl+" : "") + shift + key;
  }

  // Elements that use arrow keys or the space bar keep them, unless the mouse is used and is over a view.
  const ARROWS = "[role=slider], [role=tab], [role=listbox], [role=option], [role=menu], [role=combobox], input, select, .series-list *";
  const BUTTONS = "button, a, summary, input, select, [role=button], [role=combobox], [role=option], [role=tab]";
  const SAME_KEY = { ArrowLeft: "ArrowUp", PageUp: "ArrowUp", ArrowRight: "ArrowDown", PageDown: "ArrowDown" };
  const keeps = (element, key) => !(byMouse && window.oncotrack.isOverView()) &&
    (/^(Arrow|Page|Home|End)/.test(key) ? element.matches?.(ARROWS) : key === " " && element.matches?.(BUTTONS));
  const PAN = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  const SLICES = { previous_slice: -1, next_slice: 1, first_slice: -1e6, last_slice: 1e6 };

  window.addEventListener("pointerdown", function () {
    byMouse = true;
    document.body.classList.remove("marks-middle");
  }, true);
  window.addEventListener("keydown", function (event) {
    byMouse = byMouse && event.key !== "Tab";
    if (chosen(event.target) && !isQuestionOpen() && /^\S$/.test(event.key) && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      event.stopPropagation();
    }
    if (typing(event.target) || isQuestionOpen() || event.altKey) return;
    if (state("cine") && !/^(Shift|Control|Meta| )$/.test(event.key)) window.oncotrack.stopCine();
    const pan = event.shiftKey && !event.ctrlKey && !event.metaKey && PAN[event.key];
    if (pan && !keeps(event.target, event.key)) {
      event.preventDefault();
      document.body.classList.add("marks-middle");
      window.trame.trigger("oncotrack.pan", [window.oncotrack.usedView(), ...pan]);
      return;
    }
    const key = nameOf(event), command = (state("keys") || {})[SAME_KEY[key] || key], slices = SLICES[command];
    if (!command || keeps(event.target, event.key) || event.repeat && !slices && !/^(n|p)$/.test(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    window.oncotrack.settle();
    const view = window.oncotrack.usedView();
    if (slices) window.oncotrack.scroll(view, slices);
    else window.trame.trigger("oncotrack.key", [command, window.oncotrack.releases(), view]);
  }, true);

  // A button with data-copy copies a text of the response; pages without https have no clipboard of their own.
  document.addEventListener("click", async function (event) {
    const button = event.target.closest?.("[data-copy]"), text = button && state("response")[button.dataset.copy];
    if (!text) return;
    let copied = true;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.body.appendChild(Object.assign(document.createElement("textarea"), { value: text }));
      area.select();
      copied = document.execCommand("copy");
      area.remove();
    }
    window.trame.trigger("oncotrack.command", ["response_copy", copied]);
  });

  // A narrow window has no room for the list of studies, the views and the panel.
  document.addEventListener("click", function (event) {
    const opens = event.target.closest?.("[data-command=show_studies], [data-in-menu=show_studies]");
    if (opens && !state("is_browser_open") && window.innerWidth < 900) window.trame.state.set("is_panel_open", false);
  });

  // The list of series: Escape cancels it wherever the focus is, the first one that can be opened gets the focus, and the
  // arrow keys move it.
  window.addEventListener("keydown", function (event) {
    if (event.key === "Escape") document.querySelector(".v-overlay--active [data-series-cancel]")?.click();
  }, true);
  const rows = (list) => [...list.querySelectorAll("button")];
  document.addEventListener("focusin", function (event) {
    if (event.target.matches(".v-overlay__content:has(.series-list)")) rows(event.target)[0]?.focus();
  });
  document.addEventListener("keydown", function (event) {
    const list = event.target.closest?.(".series-list"), step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!list || !step) return;
    event.preventDefault();
    rows(list)[rows(list).indexOf(event.target) + step]?.focus();
  });

  // For screen readers, the picture of a view is named as its view is, and so are both ends of a range.
  new MutationObserver(function () {
    document.querySelectorAll(".layout-grid-item img").forEach(function (image) {
      const name = image.closest(".layout-grid-item").querySelector("[data-name]")?.dataset.name ?? "";
      if (image.alt !== name) image.alt = name;
    });
    document.querySelectorAll(".v-range-slider").forEach(function (range) {
      const name = range.querySelector("label")?.innerText ?? "";
      range.querySelectorAll("[role=slider]:not([aria-label])").forEach((end, index) =>
        end.setAttribute("aria-label", name + (index ? " up to" : " from")));
    });
  }).observe(document.documentElement, { childList: true, subtree: true, attributeFilter: ["data-name"] });

  window.addEventListener("beforeunload", function (event) {
    if (state("unsaved") && !window.reconnecting) { event.preventDefault(); event.returnValue = ""; }
  });

  document.addEventListener("change", async function (event) {
    const input = event.target;
    if (!input.matches || !input.matches("input[data-upload]") || !input.files.length) return;
    const form = new FormData();
    for (const file of input.files) form.append("file", file, file.name);
    try {
      await fetch("upload?role=" + encodeURIComponent(input.dataset.upload), { method: "POST", body: form });
    } catch (problem) {
      window.alert("The upload did not reach OncoTrack. Check that it still runs, and upload again.");
    }
    input.value = "";
  }, true);
})();
