// When the connection to the server is lost, the page is replaced by a notice. As soon as the server answers again, the page
// is loaded again and shows the same session; a server that was started again has another address, which the notice says.
(function () {
  "use strict";
  const PERIOD_MS = 2000;
  window.setInterval(async function () {
    const text = document.querySelector("[data-connection='lost'] [data-connection-text]");
    if (!text) return;
    let answer;
    try {
      answer = await fetch("alive", { cache: "no-store" });
    } catch (problem) {
      return;
    }
    if (answer.ok) {
      window.reconnecting = true;  // nothing is lost by leaving: the server has every edit
      window.location.reload();
    } else if (answer.status === 403) {
      text.textContent = "OncoTrack was started again and has a new address. Open the address that it printed; " +
        "unsaved findings are offered there.";
    }
  }, PERIOD_MS);
})();
