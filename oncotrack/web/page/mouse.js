// The mouse over slice views: which view is used, the wheel, double clicks, and the count of drags that have ended.
(function () {
  "use strict";
  const state = (name) => window.trame && window.trame.state.get(name);
  const SLICE_VIEW = ".layout-grid-item:has(.view-side)";
  const nameOf = (item) => item?.querySelector("[data-view]")?.dataset.view;
  const viewOf = (element) => element.closest?.(SLICE_VIEW);

  // The view under the mouse, or the one whose button has the focus, is the one that keys are for. A field that got the
  // focus meanwhile keeps its keys until the mouse enters a view again.
  let used = "", isOver = false;
  function use(element) {
    const item = viewOf(element), name = nameOf(item);
    isOver = !!name;
    if (!name || (name === used && item.classList.contains("is-used"))) return;
    used = name;
    document.querySelectorAll(".is-used").forEach((each) => each.classList.remove("is-used"));
    item.classList.add("is-used");
    window.trame?.state?.set("used_view", used);
  }
  window.addEventListener("pointerover", (event) => { if (!event.buttons) use(event.target); }, true);
  window.addEventListener("focusin", (event) => { use(event.target); }, true);
  function usedView() {
    const shown = [...document.querySelectorAll(SLICE_VIEW)].map(nameOf), maximised = state("maximised");
    return maximised && shown.includes(maximised) ? maximised : shown.includes(used) ? used : shown[0];
  }

  // A view sends mouse events one by one, each after the server's answer, so a key can reach the server before the end of
  // an earlier drag. The page counts releases and sends the count with the key; the server waits for that many releases.
  let isDown = false, releases = 0, start = [0, 0];
  window.addEventListener("pointerdown", function (event) {
    isDown = event.button === 0 && !event.target.closest("button") && !!viewOf(event.target);
    start = [event.clientX, event.clientY];
    if (isDown && clicks.length && isNearClick(event)) clearTimeout(timer);
    else settle();
    if (viewOf(event.target)) stopCine();
  }, true);
  window.addEventListener("pointermove", function (event) {
    if (!event.buttons && clicks.length && !isNearClick(event)) settle();
  }, true);
  window.addEventListener("pointerup", function (event) {
    if (event.button !== 0) return;
    if (isDown) {
      releases = Math.max(releases, state("mouse_releases") || 0) + 1;
      if (Math.hypot(event.clientX - start[0], event.clientY - start[1]) < STILL_PX) {
        clicks.push({ number: releases, x: event.clientX, y: event.clientY });
        timer = setTimeout(settle, clicks.length > 1 ? EVENT_MS : DOUBLE_MS);
      } else settle();
    }
    isDown = false;
  }, true);
  window.addEventListener("dblclick", function (event) {
    const view = nameOf(viewOf(event.target));
    if (!view || event.button !== 0 || event.target.closest("button") || !clicks.length) return;
    clearTimeout(timer);
    clicks.splice(-2);
    settle();
    window.trame.trigger("oncotrack.double_click", [view, releases]);
  }, true);

  // A click acts only once it cannot be the first of a double click any more: the mouse has left its place, a key was
  // pressed, or the time of a double click is over. The browser decides what a double click is, by the settings of the reader.
  const STILL_PX = 5, DOUBLE_MS = 600, EVENT_MS = 80;
  let clicks = [], timer = 0;
  const isNearClick = (event) => Math.hypot(event.clientX - clicks.at(-1).x, event.clientY - clicks.at(-1).y) < STILL_PX;
  function settle() {
    clearTimeout(timer);
    for (const { number } of clicks.splice(0)) window.trame.trigger("oncotrack.click", [number]);
  }

  // Slices that are asked for while one is drawn are added up: at most one request is under way.
  const ANSWER_MS = 1000;  // when a view is not drawn, it is hidden
  let view = "", slices = 0, number = 0, sent = 0;
  function scroll(name, by) {
    if (name !== view) slices = 0;
    view = name;
    slices += by;
    send();
  }
  function send() {
    const isDrawn = (state("scrolled") || 0) >= number;
    if (!slices || (!isDrawn && performance.now() - sent < ANSWER_MS)) return;
    if (!number) {
      number = state("scrolled") || 0;  // the page may have been loaded again
      window.trame.state.addListener(send);
    }
    const request = [view, slices, ++number, releases];
    slices = 0;
    sent = performance.now();
    window.trame.trigger("oncotrack.scroll", request);
    setTimeout(send, ANSWER_MS + 1);
  }

  // One notch is one slice; from the third quick notch on the wheel moves further. Fine steps of touchpads are added up.
  const QUICK_MS = 40, NOTCH_PX = 40, FINE_PX = 30, FURTHEST = 5;
  let last = 0, quick = 0, rest = 0, before = 0;
  function notches(event) {
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 3 : 1;
    if (event.deltaMode === WheelEvent.DOM_DELTA_PIXEL && Math.abs(event.deltaY) < NOTCH_PX) {
      rest = Math.sign(rest) === -Math.sign(event.deltaY) ? event.deltaY : rest + event.deltaY;
      const whole = Math.trunc(rest / FINE_PX);
      rest -= whole * FINE_PX;
      return whole;
    }
    rest = 0;
    const size = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? event.deltaY / 120 : event.deltaY / lines;
    const way = Math.sign(size), isQuick = way === before && event.timeStamp - last < QUICK_MS;
    quick = isQuick ? quick + 1 : 0;
    before = way;
    last = event.timeStamp;
    return way * Math.max(1, Math.round(Math.abs(size))) * Math.min(1 + Math.floor(quick / 2), FURTHEST);
  }
  window.addEventListener("wheel", function (event) {
    const name = nameOf(viewOf(event.target));
    if (!name || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    stopCine();
    const by = isDown ? 0 : notches(event);
    if (by) scroll(name, by);
  }, { capture: true, passive: false });

  function stopCine() {
    if (state("cine")) window.trame.trigger("oncotrack.stop_cine");
  }
  window.oncotrack = { settle, releases: () => releases, isOverView: () => isOver, usedView, scroll, stopCine };
})();
