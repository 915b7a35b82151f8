"""An incident as users of `aiosnow` find, change and make one."""

import asyncio
import json
import os

import aiosnow
from aiosnow.models.table.declared import IncidentModel as Incident


async def main():
    client = aiosnow.Client(os.environ["HOST"], basic_auth=("u", os.environ["SECRET"]), use_ssl=False)
    async with Incident(client, table_name="incident") as incidents:
        found = await incidents.get_one(Incident.correlation_id == "k1")
        await incidents.update(Incident.number == found["number"], {"short_description": "Up"})
        made = await incidents.create({"short_description": "Another"})
        listed = [row["short_description"] for row in await incidents.get(Incident.number.is_populated())]
        await incidents.delete(Incident.number == made["number"])
        return {"number": found["number"], "made": made["number"], "listed": sorted(listed)}


print(json.dumps(asyncio.run(main())))
