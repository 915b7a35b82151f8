"""What clients of the simulated Azure DevOps read before they write: places, projects, types, fields, areas and iterations."""

from __future__ import annotations

from typing import Any

from worker.sandbox.azure_devops import shapes
from worker.sandbox.azure_devops.call import Call, Route, rows
from worker.sandbox.azure_devops.patch import Refused
from worker.sandbox.azure_devops.process import Process, fields_of, known, process_of
from worker.sandbox.credentials import by_nobody
from worker.sandbox.store import Store, project_id


class Catalog:
    """Handlers over the store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def routes(self) -> tuple[Route, ...]:
        """Methods, paths and handlers."""
        return (
            ("OPTIONS", r"(?:[a-z]+)?", self.locations),
            ("GET", r"resourceareas", self.areas),
            ("GET", r"connectiondata", self.connection),
            ("GET", r"projects", self.projects),
            ("GET", r"projects/(?P<project>[^/]+)", self.one_project),
            ("GET", r"wit/fields", self.fields),
            ("GET", r"wit/fields/(?P<field>[^/]+)", self.field),
            ("GET", r"wit/workitemtypes", self.types),
            ("GET", r"wit/workitemtypes/(?P<type>[^/]+)", self.type),
            ("GET", r"wit/workitemtypes/(?P<type>[^/]+)/states", self.states),
            ("GET", r"wit/workitemrelationtypes", self.relation_types),
            ("GET", r"wit/classificationnodes/(?P<tree>areas|iterations)", self.tree),
        )

    def named(self, name: str) -> str:
        """The project of that name or id."""
        for project in self.store.projects:
            if name.lower() in (project.lower(), project_id(project)):
                return project
        text = f"TF200016: The following project does not exist: {name}. Verify that the name of the project is correct and that the project exists on the specified Azure DevOps Server."
        raise Refused(404, "ProjectDoesNotExistWithNameException", text)

    def process_of(self, call: Call) -> tuple[str, Process]:
        """The project of the address, and its process."""
        if call.project is None:
            raise Refused(400, "VssPropertyValidationException", "A project is needed in the address.")
        return call.project, process_of(self.store, call.project)

    def type_of(self, call: Call) -> tuple[str, Process, str]:
        """The project, its process and the type that the address names, in its own spelling."""
        project, process = self.process_of(call)
        name = call.part["type"]
        kind = process.type(name)
        if kind is None:
            text = f"VS402323: Work item type {name} does not exist in project {project} or you do not have permission to access it."
            raise Refused(404, "WorkItemTypeNotFoundException", text)
        return project, process, kind

    async def tree(self, call: Call) -> Any:
        """The project's areas or iterations, with all that is below as far as `$depth` says."""
        project, process = self.process_of(call)
        tree = "System.AreaPath" if call.part["tree"].lower() == "areas" else "System.IterationPath"
        found = process.node(project, tree)
        return found if call.number("$depth", 0) else {n: v for n, v in found.items() if n != "children"}

    async def locations(self, _: Call) -> Any:
        """The resources that clients ask for first."""
        return rows(shapes.locations())

    async def areas(self, call: Call) -> Any:
        """Where each resource area is served."""
        return rows(shapes.resource_areas(call.base))

    async def connection(self, call: Call) -> Any:
        """Who is signed in; nobody, with a credential that calls itself `anonymous`."""
        return shapes.connection_data(self.store.me, anonymous=by_nobody(call.request))

    async def projects(self, call: Call) -> Any:
        """All projects."""
        names = self.store.projects
        return rows(
            [shapes.project(n, process_of(self.store, n), call.base, single=False, capabilities=False) for n in names]
        )

    async def one_project(self, call: Call) -> Any:
        """One project, by name or id."""
        name = self.named(call.part["project"])
        wanted = call.request.query.get("includeCapabilities", "").lower() == "true"
        return shapes.project(name, process_of(self.store, name), call.base, single=True, capabilities=wanted)

    async def fields(self, call: Call) -> Any:
        """All fields."""
        return rows([shapes.field(found, call.base) for found in fields_of(self.store).values()])

    async def types(self, call: Call) -> Any:
        """The project's work item types."""
        project, process = self.process_of(call)
        place = project_id(project)
        return rows([shapes.work_item_type(name, process, call.base, place) for name in process.types])

    async def type(self, call: Call) -> Any:
        """One type."""
        project, process, kind = self.type_of(call)
        return shapes.work_item_type(kind, process, call.base, project_id(project))

    async def states(self, call: Call) -> Any:
        """One type's states."""
        _, process, kind = self.type_of(call)
        return rows(shapes.states(kind, process))

    async def field(self, call: Call) -> Any:
        """One field, by its reference name."""
        found = known(fields_of(self.store), call.part["field"])
        if found is None:
            text = f"TF51535: Cannot find field {call.part['field']}."
            raise Refused(404, "WorkItemTrackingFieldDefinitionNotFoundException", text)
        return shapes.field(found, call.base)

    async def relation_types(self, _: Call) -> Any:
        """How work items can be linked."""
        return rows([{"referenceName": name, "name": shown} for name, shown in shapes.RELATIONS.items()])
