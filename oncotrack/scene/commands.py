"""The table of the reader's commands: name, button text, key and tooltip, for the Slicer modules and the browser.

Only the standard library is imported, so that the modules can read the table before OncoTrack's packages are installed.
"""

from __future__ import annotations

from dataclasses import dataclass

FINDINGS, RESPONSE, NODES, MASKS = "findings", "response", "nodes", "masks"
MEASURE, VIEW, FILES = "measure", "view", "files"
PETCT = "petct"
"""What the tool of the lymph nodes offers beside a PET."""
PAGE = "page"
"""The tools, which are tabs in the browser; `PAGE` stands for what only the browser's page has. In Slicer, Lesion Follow-Up offers the commands of `FINDINGS`,
`RESPONSE` and `VIEW`, LN-Tracker those of `NODES`, RECIST Pseudo-Mask those of `MASKS`."""
SLICER_KEYS = frozenset("FBGRVQ")
"""Keys that Slicer's slice views use, so that no command may."""
_BROWSER_KEYS = {
    "Del": "Delete",
    "Esc": "Escape",
    "Ins": "Insert",
    "Space": " ",
    "Up": "ArrowUp",
    "Down": "ArrowDown",
}


@dataclass(frozen=True)
class ReaderCommand:
    """An action that a reader can take: one row of the table.

    Attributes
    ----------
    name : str
        Unique within each of the tools.
    title : str
        The button's text.
    tip : str
        The button's tooltip, without the key.
    tools : tuple of str
        The tools that offer it.
    key : str
        As Qt spells it ("A", "Del", "Ctrl+Z"); "" for none. The same in every tool.
    method : str
        The session's method where its name differs from the command's ("editor.split").
    """

    name: str
    title: str
    tip: str
    tools: tuple[str, ...]
    key: str = ""
    method: str = ""

    @property
    def action(self) -> str:
        """The session's method, also the name under which a scene's `possible` lists it."""
        return self.method or self.name

    @property
    def browser_key(self) -> str:
        """The key as browsers spell it ("a", "Delete", "Ctrl+z")."""
        *modifiers, key = self.key.split("+")
        return "+".join((*modifiers, key.lower() if len(key) == 1 else _BROWSER_KEYS.get(key, key)))

    @property
    def tooltip(self) -> str:
        """The tooltip with the key."""
        return f"{self.tip} ({self.key})" if self.key else self.tip


_ALL = (FINDINGS, NODES, MASKS)
_SCAN = (NODES, MASKS)
COMMANDS = (
    # deciding
    ReaderCommand("accept", "Accept", "Accept the current finding or match.", _ALL, "A"),
    ReaderCommand(
        "reject", "Reject", "Reject the current finding or match. It is not exported and not proposed again.", _ALL, "X"
    ),
    ReaderCommand(
        "mark_absent", "Absent", "Record that the lesion is no longer present in the follow-up.", (FINDINGS,), "O"
    ),
    ReaderCommand("remove_everywhere", "Remove everywhere", "Remove the finding from all scans.", (FINDINGS,), "Del"),
    ReaderCommand(
        "remove_from_scan",
        "Remove from this scan",
        "Remove the finding from this scan; it stays on the others.",
        _SCAN,
        "Del",
    ),
    ReaderCommand("undo", "Undo", "Undo the last edit.", _ALL, "Ctrl+Z"),
    ReaderCommand("redo", "Redo", "Redo the last edit that was undone.", _ALL, "Ctrl+Y"),
    ReaderCommand(
        "accept_several", "Accept the chosen", "Accept the matches of the findings chosen by check box.", (PAGE,)
    ),
    ReaderCommand(
        "reject_several", "Reject the chosen", "Reject the matches of the findings chosen by check box.", (PAGE,)
    ),
    ReaderCommand(
        "remove_several", "Remove the chosen", "Remove the findings chosen by check box from all scans.", (PAGE,)
    ),
    ReaderCommand(
        "follow_middle",
        "Follow the middle",
        "Follow the lesion in the middle of the baseline's view; Shift and the arrow keys pan it.",
        (PAGE,),
        "+",
    ),
    ReaderCommand(
        "move_match",
        "Match is here",
        "Move the match of the current finding to the middle of the follow-up's view; Shift and the arrow keys pan it.",
        (PAGE,),
        ";",
    ),
    # navigating and naming
    ReaderCommand("previous", "Previous", "Go to the previous finding of the list.", _ALL, "P"),
    ReaderCommand("next", "Next", "Go to the next finding of the list.", _ALL, "N"),
    ReaderCommand("go_to", "Go to", "Show the finding in the views.", _ALL),
    ReaderCommand("rename", "Rename", "Rename the finding.", _ALL),
    ReaderCommand(
        "describe",
        "Describe",
        "Change kind, role, side, organ or station, or comment of the finding. One step of undo.",
        (FINDINGS,),
    ),
    ReaderCommand(
        "name_reader",
        "Reader",
        "Give the name of the reader, which is kept with what you decide.",
        (FINDINGS,),
        "",
        "reader",
    ),
    ReaderCommand("choose_scan", "Scan", "Choose the scan.", _SCAN),
    # lesions in the follow-up
    ReaderCommand(
        "place_lesion",
        "Place lesion",
        "Then click a lesion in the baseline: its match is searched in the follow-up.",
        (FINDINGS,),
        "L",
        "begin_placing",
    ),
    ReaderCommand(
        "search_again",
        "Search this one again",
        "Search the current lesion again in the follow-up.",
        (FINDINGS,),
        "M",
        "follow_again",
    ),
    ReaderCommand(
        "find_all",
        "Find all in follow-up",
        "Search every baseline lesion that has no match yet. One step of undo.",
        (FINDINGS,),
        "T",
        "follow_missing",
    ),
    ReaderCommand(
        "search_all_again",
        "Search all again",
        "Search again, by the chosen method, every lesion whose match is not yet accepted, rejected or edited.",
        (FINDINGS,),
        "",
        "rematch",
    ),
    ReaderCommand("swap", "Swap", "Swap the match with its best alternative.", (FINDINGS,), "S", "take_alternative"),
    ReaderCommand(
        "take_alternative", "Use", "Move the match to this alternative; the old match becomes one.", (FINDINGS,)
    ),
    ReaderCommand(
        "find_in_every_visit",
        "Find this one in every visit",
        "Search this lesion in all later visits; what you decided is kept.",
        (FINDINGS,),
        "",
        "follow_through",
    ),
    ReaderCommand(
        "find_all_in_every_visit",
        "Find all in every visit",
        "Search every lesion in all later visits. One step of undo.",
        (FINDINGS,),
        "",
        "follow_all_through",
    ),
    ReaderCommand(
        "redo_from_visit",
        "Redo from this visit on",
        "Search this lesion again in the visits after the one shown, starting from its position there.",
        (FINDINGS,),
        "",
        "follow_onward",
    ),
    ReaderCommand(
        "measure_match",
        "Measure",
        "Propose mask and diameters of this lesion in the follow-up, and in the baseline where it has none.",
        (FINDINGS,),
        "=",
        "measure",
    ),
    ReaderCommand(
        "measure_matches",
        "Measure all",
        "Propose mask and diameters of every match without a size that you decided on. One step of undo.",
        (FINDINGS,),
        "",
        "measure_all",
    ),
    ReaderCommand("show_visit", "Show visit", "Show this visit beside the one before it.", (FINDINGS,)),
    ReaderCommand(
        "add_visit",
        "As an additional visit",
        "Also search lesions in this scan of the same patient.",
        (FINDINGS,),
        "",
        "set_visits",
    ),
    # response to treatment
    ReaderCommand(
        "response_target",
        "Target lesion",
        "Make the current finding a target lesion, or no target lesion any more.",
        (RESPONSE,),
        "*",
        "toggle_target",
    ),
    ReaderCommand("response_role", "Role", "Choose the role of a finding in RECIST.", (RESPONSE,), "", "set_role"),
    ReaderCommand("response_site", "Organ", "Choose the organ of a finding.", (RESPONSE,), "", "set_site"),
    ReaderCommand(
        "response_judge",
        "Judgement",
        "Say what cannot be measured: too small, not evaluable, unequivocal progression, merged.",
        (RESPONSE,),
        "",
        "judge",
    ),
    ReaderCommand(
        "response_split",
        "Fragment of",
        "Choose the lesion that this one has split from; the fragments of a lesion are added up.",
        (RESPONSE,),
        "",
        "set_split",
    ),
    ReaderCommand(
        "response_resize",
        "Diameter",
        "Give a diameter another length about its middle; the mask follows.",
        (RESPONSE,),
        "",
        "resize",
    ),
    ReaderCommand(
        "response_equivocal",
        "Suspected only",
        "The new lesion, or the progression, is suspected but not certain.",
        (RESPONSE,),
        "",
        "set_equivocal",
    ),
    ReaderCommand(
        "response_larger",
        "Larger",
        "The lesion is larger than at the visit before (iRECIST).",
        (RESPONSE,),
        "",
        "set_larger",
    ),
    ReaderCommand(
        "response_gone", "Gone", "The lesion is no longer present at this visit.", (RESPONSE,), "-", "mark_gone"
    ),
    ReaderCommand("response_criteria", "Criteria", "Choose RECIST 1.1 or iRECIST.", (RESPONSE,), "", "choose_criteria"),
    ReaderCommand(
        "response_click",
        "Choose by click",
        "Then click lesions in the scans: each gets the role and the organ that are set here.",
        (RESPONSE,),
        "",
        "choose_at",
    ),
    ReaderCommand(
        "response_new",
        "New lesion in the middle",
        "Add a new lesion in the middle of the view; Shift and the arrow keys pan it.",
        (RESPONSE,),
        "!",
        "add_new",
    ),
    ReaderCommand(
        "response_report",
        "Response report",
        "Write the response as page, PDF, text and table (CSV), with pictures of every lesion at every visit.",
        (PAGE,),
    ),
    ReaderCommand(
        "response_save",
        "Save table...",
        "Save the response as text and as a table (CSV) in a folder.",
        (RESPONSE,),
        "",
        "result",
    ),
    ReaderCommand("response_copy", "Copy", "Copy the response into the clipboard.", (PAGE,)),
    # lymph nodes
    ReaderCommand(
        "detect",
        "Find lymph nodes",
        "Search the whole scan for lymph nodes. Check every one, and look for missed nodes.",
        (NODES,),
    ),
    ReaderCommand(
        "add_node",
        "Add node",
        "Then click the middle of a lymph node: it gets a box on every slice it is found on.",
        (NODES,),
        "I",
        "begin_placing",
    ),
    ReaderCommand(
        "add_box",
        "Add box",
        "Copy the nearest box to this slice; then drag its corners.",
        (NODES,),
        "Ins",
        "editor.add_box",
    ),
    ReaderCommand(
        "delete_box", "Delete box", "Delete the box on this slice.", (NODES,), "Backspace", "editor.delete_box"
    ),
    ReaderCommand(
        "extend_up",
        "Extend towards head",
        "Search the node again on the slices from this one towards the head.",
        (NODES,),
        "U",
        "editor.extend_up",
    ),
    ReaderCommand(
        "extend_down",
        "Extend towards feet",
        "Search the node again on the slices from this one towards the feet.",
        (NODES,),
        "J",
        "editor.extend_down",
    ),
    ReaderCommand(
        "trim_above",
        "Cut above",
        "Delete the boxes nearer to the head than this slice.",
        (NODES,),
        "",
        "editor.trim_above",
    ),
    ReaderCommand(
        "trim_below",
        "Cut below",
        "Delete the boxes nearer to the feet than this slice.",
        (NODES,),
        "",
        "editor.trim_below",
    ),
    ReaderCommand(
        "split",
        "Split here",
        "Make two nodes of one: the slices before this one, and this slice and the rest.",
        (NODES,),
        "",
        "editor.split",
    ),
    ReaderCommand(
        "merge", "Merge", "Make one node of the current one and the chosen one.", (NODES,), "", "editor.merge"
    ),
    ReaderCommand("reverse_order", "Reverse order", "Reverse the order of the list.", (NODES,)),
    ReaderCommand(
        "export_nodes",
        "Export...",
        "Export the nodes shown: boxes, table, label map, findings.",
        (NODES,),
        "",
        "export",
    ),
    # PET and primary tumour
    ReaderCommand(
        "choose_pet",
        "PET",
        "Choose the PET of the same examination; it is shown over the CT.",
        (PETCT,),
        "",
        "pet.choose",
    ),
    ReaderCommand("remove_pet", "Remove the PET", "Show the CT alone again.", (PETCT,), "", "pet.remove"),
    ReaderCommand(
        "click_tumour",
        "Click the tumour",
        "Then click into the primary tumour in the PET: the region of high uptake around the click becomes its mask.",
        (PETCT,),
        "",
        "tumour.begin_click",
    ),
    ReaderCommand(
        "choose_tumour",
        "Primary tumour",
        "Choose the finding with a mask that is the primary tumour.",
        (PETCT,),
        "",
        "tumour.choose",
    ),
    ReaderCommand(
        "open_tumour",
        "Open a tumour mask...",
        "Read the mask of the primary tumour from a file.",
        (PETCT,),
        "",
        "tumour.use",
    ),
    ReaderCommand("show_pet", "PET over the CT", "Show the PET over the CT, or the CT alone.", (PAGE,)),
    ReaderCommand(
        "show_projection",
        "Projection of the PET",
        "Show the maximum intensity projection of the PET in the 3D view; drag to turn it.",
        (PAGE,),
    ),
    # diameters and masks
    ReaderCommand(
        "draw_axes",
        "Draw diameters",
        "Click both ends of the two diameters of a lesion in a slice view.",
        (MASKS,),
        "D",
    ),
    ReaderCommand(
        "cancel_drawing", "Discard lines", "Discard the lines that have not become a finding yet.", (MASKS,), "Esc"
    ),
    ReaderCommand(
        "suggest",
        "Suggest diameters and mask",
        "Suggest diameters and mask from what is known of the finding.",
        (MASKS,),
    ),
    ReaderCommand(
        "extend_to_3d",
        "Extend to 3D",
        "Extend the mask to the slices next to the diameters.",
        (MASKS,),
        "C",
    ),
    ReaderCommand(
        "add_diameters",
        "Add diameters on another slice",
        "Draw diameters of the same lesion on another slice; the mask is extended from all of them.",
        (MASKS,),
        "E",
    ),
    ReaderCommand(
        "rebuild",
        "Rebuild from diameters",
        "Replace the mask by one on a single slice, made from the diameters.",
        (MASKS,),
    ),
    ReaderCommand(
        "make_perpendicular",
        "Make perpendicular",
        "Turn the short diameter to a right angle with the long one.",
        (MASKS,),
    ),
    ReaderCommand("remeasure", "Measure mask", "Replace the diameters by those measured on the mask.", (MASKS,)),
    ReaderCommand("remove_mask", "Remove mask", "Remove the mask; the diameters stay.", (MASKS,)),
    ReaderCommand("fill", "Fill holes", "Fill the holes of the mask.", (PAGE,)),
    ReaderCommand("smooth", "Smooth", "Smooth the border of the mask.", (PAGE,)),
    ReaderCommand("brush", "Brush", "Paint in the mask with the left mouse button.", (PAGE,)),
    ReaderCommand("eraser", "Eraser", "Erase from the mask with the left mouse button.", (PAGE,)),
    ReaderCommand(
        "paint",
        "Paint",
        "Open the mask in Slicer's Segment Editor; it is measured again as you paint.",
        (MASKS,),
        "",
        "remeasure",
    ),
    ReaderCommand(
        "measure_table",
        "Measure a table...",
        "Make a finding with a mask from every row of a table of diameters (CSV, lines of Slicer).",
        (MASKS,),
    ),
    ReaderCommand(
        "import_masks",
        "Import masks...",
        "Make a finding from every segment of a file.",
        (MASKS,),
    ),
    ReaderCommand(
        "export_masks",
        "Export...",
        "Export the masks: segmentation, table, training pairs, findings.",
        (MASKS,),
        "",
        "export",
    ),
    # measurements
    ReaderCommand("measure_ruler", "Distance", "Measure a distance: click both ends in a slice view.", (MEASURE,)),
    ReaderCommand(
        "measure_bidirectional",
        "Two diameters",
        "Measure the longest diameter and the one perpendicular to it: click both ends of the longest one.",
        (MEASURE,),
    ),
    ReaderCommand(
        "measure_angle", "Angle", "Measure an angle: click one end, the vertex and the other end.", (MEASURE,)
    ),
    ReaderCommand(
        "measure_ellipse",
        "Region",
        "Measure mean, standard deviation, range and area of an elliptic region: click two opposite corners.",
        (MEASURE,),
    ),
    ReaderCommand("measure_go_to", "Go to", "Show the measurement in the views.", (MEASURE,)),
    ReaderCommand("measure_rename", "Rename", "Rename the measurement.", (MEASURE,)),
    ReaderCommand("measure_remove", "Remove", "Remove the measurement.", (MEASURE,)),
    ReaderCommand(
        "measure_make_lesion", "Make a lesion", "Make a lesion with these diameters of the measurement.", (MEASURE,)
    ),
    # views
    ReaderCommand(
        "show_anatomy_map",
        "Anatomy map",
        "Show over the follow-up where the registration expects the lesion.",
        (VIEW,),
        "H",
    ),
    ReaderCommand(
        "show_probability",
        "Probability",
        "Show over the follow-up how probable the lesion is at each position.",
        (VIEW,),
        "Y",
        "map_probability",
    ),
    ReaderCommand(
        "link_views",
        "Linked views",
        "Scroll both scans together; Shift and mouse move mark a position in both.",
        (VIEW,),
        "K",
    ),
    ReaderCommand(
        "link_here",
        "Link here",
        "Link the positions that both scans show now, instead of those of the registration; again for the registration.",
        (PAGE,),
    ),
    ReaderCommand("register", "Register", "Register the scans, so that both can be scrolled together.", (VIEW,)),
    ReaderCommand(
        "set_window",
        "Window/level",
        "Drag with the left mouse button: sideways for the window, up and down for the level.",
        (VIEW,),
        "W",
    ),
    ReaderCommand(
        "hide_names",
        "Hide names",
        "Hide names and IDs of patients on the images, for presentations.",
        (VIEW,),
        "Z",
    ),
    ReaderCommand(
        "hide_text",
        "Hide text",
        "Hide all text on the images but the letters of the sides and notices on the image itself.",
        (VIEW,),
    ),
    ReaderCommand(
        "choose_mouse",
        "Left mouse button",
        "Choose what a drag with the left mouse button does in slice views.",
        (VIEW,),
    ),
    ReaderCommand(
        "previous_slice", "Previous slice", "Show the previous slice of the view under the mouse.", (PAGE,), "Up"
    ),
    ReaderCommand("next_slice", "Next slice", "Show the next slice of the view under the mouse.", (PAGE,), "Down"),
    ReaderCommand("first_slice", "First slice", "Show the first slice of the view under the mouse.", (PAGE,), "Home"),
    ReaderCommand("last_slice", "Last slice", "Show the last slice of the view under the mouse.", (PAGE,), "End"),
    ReaderCommand(
        "play_cine", "Cine", "Play the slices of the view under the mouse; any key ends it.", (PAGE,), "Space"
    ),
    ReaderCommand(
        "maximise", "Maximise", "Show one view alone, or all views again; so does a double click in it.", (PAGE,)
    ),
    ReaderCommand(
        "enlarge",
        "Enlarge lesion",
        "Show the lesion large and in the middle of each view, both scans at one scale; again for the whole scans.",
        (PAGE, *_ALL),
        "0",
    ),
    ReaderCommand(
        "choose_slab",
        "Slab",
        "Show the average, the maximum or the minimum through a thick slab instead of single slices.",
        (PAGE,),
    ),
    ReaderCommand("thicker", "Thicker slab", "Make the slab thicker; from single slices on, an average.", (PAGE,), "."),
    ReaderCommand("thinner", "Thinner slab", "Make the slab thinner; below 1 mm it ends.", (PAGE,), ","),
    ReaderCommand(
        "project_all",
        "Maximum of the whole scan",
        "Show the largest value through the whole scan in each plane (maximum intensity projection).",
        (PAGE,),
    ),
    ReaderCommand("same_window", "Same window", "Use the same window and level for both scans.", (VIEW,)),
    ReaderCommand(
        "third_visit",
        "Third visit",
        "Show a third visit beside the two, or hide it; its views scroll with them.",
        (PAGE,),
    ),
    ReaderCommand("show_studies", "Studies", "Show the visits and the series in your folders, to hang them.", (PAGE,)),
    ReaderCommand("open_patient", "Open", "Open this patient of the worklist.", (PAGE,)),
    ReaderCommand("previous_patient", "Previous patient", "Open the previous patient of the worklist.", (PAGE,)),
    ReaderCommand("next_patient", "Next patient", "Open the next patient of the worklist.", (PAGE,)),
    ReaderCommand("mark_read", "Read", "Mark the open patient as read, or as not read.", (PAGE,)),
    ReaderCommand(
        "filter_worklist", "Filter", "Choose which patients the worklist shows, and in which order.", (PAGE,)
    ),
    ReaderCommand("list_folder", "List", "List the series of a folder.", (PAGE,)),
    ReaderCommand("hang", "Hang", "Show this scan in a view.", (PAGE,)),
    ReaderCommand("help", "Help", "Show the tour, the mouse and the keys.", (PAGE,), "?"),
    ReaderCommand("change_theme", "Light or dark", "Change between the dark and the light page.", (PAGE,)),
    ReaderCommand("change_text_size", "Text size", "Change the size of the text: normal, large, largest.", (PAGE,)),
    # files
    ReaderCommand("save_findings", "Save findings", "Save the findings.", (FILES,), "Ctrl+S"),
    ReaderCommand("save_scene", "Save scene", "Save the scene.", (FILES,)),
    ReaderCommand("save_report", "Write report", "Write the report.", (FILES,)),
    ReaderCommand(
        "export_dicom",
        "Write DICOM objects",
        "Write the findings as DICOM reports and segmentations. Other viewers and a PACS read them.",
        (FILES,),
    ),
    ReaderCommand(
        "import_dicom",
        "Read DICOM objects",
        "Read DICOM reports, segmentations or RTSTRUCT onto the open scans.",
        (FILES,),
    ),
    ReaderCommand("search_archive", "Search", "Search an archive (PACS) for a patient's studies.", (FILES,)),
    ReaderCommand("choose_series", "Choose", "Choose what this series is opened as.", (FILES,)),
    ReaderCommand(
        "load_series", "Load", "Retrieve the chosen series and the results stored with them, and open them.", (FILES,)
    ),
    ReaderCommand(
        "send_results", "Send results", "Write the findings as DICOM objects and send them to the archive.", (FILES,)
    ),
    ReaderCommand("open", "Open", "Open a file or folder.", (FILES,)),
    ReaderCommand("restore_autosave", "Restore", "Restore the findings that were saved automatically.", (FILES,)),
    ReaderCommand(
        "discard_autosave",
        "Discard (a backup is kept)",
        "Discard the findings that were saved automatically.",
        (FILES,),
    ),
)
"""Every command. A key belongs to one command; only Del belongs to both commands that remove."""


def commands_of(*tools: str) -> dict[str, ReaderCommand]:
    """Return the commands that one of the tools offers, by name."""
    return {command.name: command for command in COMMANDS if not set(tools).isdisjoint(command.tools)}
