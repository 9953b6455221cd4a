// Keys, uploads and the warning about unsaved findings; everything else is the server's.
(function () {
  "use strict";
  const state = (name) => window.trame && window.trame.state.get(name);
  const typing = (element) => element && (element.isContentEditable ||
    (/^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName) && !/^(checkbox|radio|button|range)$/.test(element.type)));

  function nameOf(event) {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const shift = event.shiftKey && (event.ctrlKey || event.metaKey) ? "Shift+" : "";
    return (event.ctrlKey || event.metaKey ? "Ctrl+" : "") + shift + key;
  }

  window.addEventListener("keydown", function (event) {
    if (typing(event.target) || event.altKey || event.repeat && !/^(n|p)$/.test(event.key)) return;
    const command = (state("keys") || {})[nameOf(event)];
    if (!command) return;
    event.preventDefault();
    event.stopPropagation();
    const press = (isLast) => {
      const button = document.querySelector(`[data-command="${command}"]`);
      if (!button || !button.disabled) window.trame.trigger("oncotrack.command", [command]);
      else if (!isLast) window.setTimeout(press, 300, true);  // buttons are drawn a little after the state they show
    };
    press(false);
  }, true);

  window.addEventListener("beforeunload", function (event) {
    if (state("unsaved")) { event.preventDefault(); event.returnValue = ""; }
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
