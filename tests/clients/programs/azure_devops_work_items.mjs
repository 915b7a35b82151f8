// A work item as users of azure-devops-node-api make, find, change and discuss one.
import { createRequire } from "node:module";
import { Readable } from "node:stream";

const azdev = createRequire(process.env.NODE_MODULES + "/")("azure-devops-node-api");
const handler = azdev.getPersonalAccessTokenHandler(process.env.SECRET);
const connection = new azdev.WebApi(process.env.URL + "/contoso", handler, { ignoreSslError: true });
const wit = await connection.getWorkItemTrackingApi();
const core = await connection.getCoreApi();
const add = (path, value) => ({ op: "add", path, value });

const made = await wit.createWorkItem(
  null,
  [add("/fields/System.Title", "Down"), add("/fields/System.Tags", "rca; aw-1f")],
  "Operations",
  "Bug",
);
const file = await wit.createAttachment(null, Readable.from(["one line\n"]), "trace.txt", null, "Operations");
const changed = await wit.updateWorkItem(
  null,
  [add("/fields/System.Title", "Up"), add("/relations/-", { rel: "AttachedFile", url: file.url })],
  made.id,
);
const comment = await wit.addComment({ text: "Seen." }, "Operations", made.id);
const query = "SELECT [System.Id] FROM WorkItems WHERE [System.TeamProject]=@project AND [System.Tags] CONTAINS 'aw-1f'";
const found = await wit.queryByWiql({ query }, { project: "Operations" });
const read = await wit.getWorkItem(made.id, null, null, 4);
let refused = "";
try {
  await wit.updateWorkItem(null, [add("/fields/Custom.NoSuchField", "x")], made.id);
} catch (error) {
  refused = error.message;
}
const identity = await connection.connect();
console.log(
  JSON.stringify({
    user: identity.authenticatedUser.providerDisplayName,
    projects: (await core.getProjects()).map((project) => project.name).sort(),
    types: (await wit.getWorkItemTypes("Starter")).map((kind) => kind.name),
    title: read.fields["System.Title"],
    relations: read.relations.map((row) => row.rel),
    comment: comment.text,
    rev: changed.rev,
    found: found.workItems.map((row) => row.id === made.id),
    refused: refused.slice(0, 7),
  }),
);
