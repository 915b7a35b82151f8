"""Publishing from a folder or a dropped file: the text and its images, what is left out and why, and what would change."""

from __future__ import annotations

import base64

import pytest
from playwright.sync_api import expect

from tasks.model import JobState
from tests.browser.instance import POST_MORTEM, log_in

pytestmark = pytest.mark.timeout(240)
DOT = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///ywAAAAAAQABAAACAUwAOw==")
DROP = """([name, text]) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([text], name, {type: "text/markdown"}));
    document.querySelector("#content").dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}));
}"""


def folder_of(tmp_path, **files):
    folder = tmp_path / "post-mortem"
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def stored(instance, document):
    return instance.run(lambda services: services.contents.document(document))


def test_a_folder_gives_its_document_and_the_images_that_it_shows(instance, open_page, tmp_path):
    """By their relative paths; nothing is stored or sent before *Publish*."""
    text = "# Folder of pools\n\n![before](shots/one.gif) ![lost](shots/two.gif) ![web](https://example.com/x.png)\n\n![note](note.xyz)\n"
    folder = folder_of(tmp_path, report_dot_md=text, shots__one_dot_gif=DOT, note_dot_xyz="x", shots__spare_dot_gif=DOT)
    page = log_in(open_page(), instance, "Omar", "/publish")
    page.get_by_label("Or a folder with images").set_input_files(folder)
    said = page.locator("[data-taken]")
    expect(said).to_contain_text("Comes along: shots/one.gif")
    expect(said).to_contain_text("Missing: shots/two.gif is not in the folder.")
    expect(said).to_contain_text("note.xyz is not an image")
    expect(said).not_to_contain_text("spare")
    expect(page.get_by_label("Markdown")).to_have_value(text)
    expect(page.frame_locator("iframe").get_by_text("Folder of pools").first).to_be_visible()
    assert stored(instance, "folder-of-pools") is None
    page.get_by_role("main").get_by_role("button", name="Publish").click()
    page.wait_for_url("**/jobs/*")
    document = stored(instance, "folder-of-pools")
    assert [(file.name, file.content) for file in document.attachments] == [("shots/one.gif", DOT)]
    instance.await_state(page.url.rpartition("/")[2], JobState.DELIVERED)


def test_of_several_documents_in_a_folder_one_is_chosen(instance, open_page, tmp_path):
    """With the keyboard's own controls; an image is found from the document's own folder."""
    folder = folder_of(
        tmp_path,
        **{
            "README_dot_md": "# Not this",
            "2026__pm_dot_md": "# This one\n\n![x](../img/a.gif)\n",
            "img__a_dot_gif": DOT,
        },
    )
    page = log_in(open_page(), instance, "Omar", "/publish")
    page.get_by_label("Or a folder with images").set_input_files(folder)
    choice = page.get_by_label("Which document?")
    expect(choice).to_be_focused()
    choice.select_option("2026/pm.md")
    page.get_by_role("button", name="Take it").click()
    expect(page.get_by_label("Markdown")).to_have_value("# This one\n\n![x](../img/a.gif)\n")
    expect(page.locator("[data-taken]")).to_contain_text("Comes along: ../img/a.gif")


def test_a_dropped_file_fills_the_text(instance, open_page):
    """Images that were chosen before stay."""
    page = log_in(open_page(), instance, "Omar", "/publish")
    expect(page.get_by_label("Or a folder with images")).to_be_visible()
    page.get_by_label("Images that it shows").set_input_files({"name": "a.gif", "mimeType": "image/gif", "buffer": DOT})
    page.evaluate(DROP, ["pm.md", "# Dropped\n\n![a](a.gif)\n"])
    expect(page.get_by_label("Markdown")).to_have_value("# Dropped\n\n![a](a.gif)\n")
    expect(page.locator("[data-taken]")).to_contain_text("Nothing is published before you say so.")
    expect(page.locator("[data-taken]")).to_contain_text("It shows 1 of its own files")
    assert page.evaluate("document.querySelector('#attachment').files.length") == 1


def drop(page, *paths):
    """Let go of files and folders over the text, as the browser itself sees it from a desktop."""
    area = page.get_by_label("Markdown").bounding_box()
    spot = {"x": area["x"] + area["width"] / 2, "y": area["y"] + area["height"] / 2}
    carried = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    devtools = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        devtools.send("Input.dispatchDragEvent", {"type": kind, **spot, "data": carried})


def test_a_folder_that_is_dropped_is_looked_through(instance, open_page, tmp_path):
    """With the folders in it; what is hidden stays out, and several things dropped together are one folder."""
    text = "# Dropped folder\n\n![x](img/deep/a.gif) ![y](.git/b.gif)\n"
    files = {"pm_dot_md": text, "img__deep__a_dot_gif": DOT, "_dot_git__b_dot_gif": DOT, "_dot_hidden_dot_md": "# No"}
    folder = folder_of(tmp_path, **files)
    page = log_in(open_page(), instance, "Omar", "/publish")
    for dropped in ([folder], [folder / "img", folder / "pm.md"]):
        page.get_by_label("Markdown").fill("before")
        drop(page, *dropped)
        expect(page.get_by_label("Markdown")).to_have_value(text)
        expect(page.locator("[data-taken]")).to_contain_text("Comes along: img/deep/a.gif")
        expect(page.locator("[data-taken]")).to_contain_text("Missing: .git/b.gif is not in the folder.")
    chosen = page.evaluate("[...document.querySelector('#attachment').files].map((file) => file.size)")
    assert chosen == [len(DOT)]


def test_files_beyond_the_limit_are_named_and_left_out(instance, open_page, tmp_path):
    """With their size and the limit."""
    large = b"GIF89a" + b"\0" * 10_500_000
    folder = folder_of(
        tmp_path, pm_dot_md="# Big\n\n![x](big.gif) ![y](small.gif)\n", big_dot_gif=large, small_dot_gif=DOT
    )
    page = log_in(open_page(), instance, "Omar", "/publish")
    page.get_by_label("Or a folder with images").set_input_files(folder)
    said = page.locator("[data-taken]")
    expect(said).to_contain_text("Left out: big.gif (10.5 MB); all files together may have 10.0 MB.")
    expect(said).to_contain_text("Comes along: small.gif")


def test_what_would_change_is_seen_before_it_is_sent(instance, open_page):
    """The difference to the page as it is, and no new version of it."""
    job = instance.submit("Compared before", POST_MORTEM, identifier="compared-before")
    instance.await_state(job, JobState.DELIVERED)
    page = log_in(open_page(), instance, "Omar", "/publish?id=compared-before&space=OPS&title=Compared%20before")
    page.get_by_label("Markdown").fill(POST_MORTEM.replace("42 minutes", "47 minutes"))
    page.get_by_role("button", name="What would change").click()
    expect(page.get_by_role("heading", name="What would change")).to_be_visible()
    expect(page.get_by_text("The page would get a new version.")).to_be_visible()
    expect(page.locator(".difference ins")).to_contain_text("47")
    expect(page.locator(".difference del")).to_contain_text("42")
    assert "42 minutes" in stored(instance, "compared-before").content_md
    page.get_by_label("Space key").fill("NOWHERE")
    page.get_by_role("button", name="What would change").click()
    expect(page.locator("[data-looked]")).to_contain_text("There is no space 'NOWHERE'")
