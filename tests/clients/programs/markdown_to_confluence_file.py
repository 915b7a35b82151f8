"""A Markdown file with a picture as `markdown-to-confluence` publishes it to the page that it names."""

import json
import os
import pathlib

from md2conf.api import ConfluenceAPI
from md2conf.environment import ConnectionProperties
from md2conf.options import DocumentOptions
from md2conf.publisher import Publisher

known = ConnectionProperties(
    api_url=os.environ["URL"] + "/wiki/",
    domain=os.environ["HOST"],
    base_path="/wiki/",
    user_name="a@example.com",
    api_key=os.environ["SECRET"],
    space_key="OPS",
)
with ConfluenceAPI(known) as api:
    Publisher(api, DocumentOptions()).process(pathlib.Path("rca.md"))
print(json.dumps({}))
