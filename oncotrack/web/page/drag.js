// Scans are dragged from the study browser into a view, which then shows them in its role.
(function () {
  "use strict";
  const TYPE = "application/x-oncotrack-scan";
  const ROLES = { Baseline: "baseline", FollowUp: "followup" };
  const viewOf = (target) => target.closest?.(".layout-grid-item:has(.view-side)");
  const mark = (view) => document.querySelectorAll(".is-drop-target").forEach((each) => {
    if (each !== view) each.classList.remove("is-drop-target");
  });

  document.addEventListener("dragstart", function (event) {
    const row = event.target.closest?.("[data-hang]");
    if (row) event.dataTransfer.setData(TYPE, row.dataset.hang);
  });
  document.addEventListener("dragover", function (event) {
    const view = event.dataTransfer.types.includes(TYPE) && viewOf(event.target);
    mark(view);
    if (!view) return;
    event.preventDefault();
    view.classList.add("is-drop-target");
  });
  document.addEventListener("dragend", () => mark(null));
  document.addEventListener("drop", function (event) {
    const view = viewOf(event.target), item = event.dataTransfer.getData(TYPE);
    mark(null);
    if (!view || !item) return;
    event.preventDefault();
    const name = view.querySelector("[data-view]").dataset.view;
    const role = Object.keys(ROLES).find((each) => name.startsWith(each));
    window.trame.trigger("oncotrack.command", ["hang", item, ROLES[role]]);
  });
})();
