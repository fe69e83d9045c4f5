// @huggingface/hub through a gateway: files up (small, LFS whole and in parts), down, listed, changed, deleted.
import { createRepo, commit, listFiles, listModels, downloadFile, fileDownloadInfo, pathsInfo, deleteRepo, whoAmI } from "@huggingface/hub";
import assert from "node:assert/strict";

const [hubUrl, accessToken, mode] = process.argv.slice(2);
const repo = "alice/js";
const at = { hubUrl, accessToken };
const named = { ...at, repo };

assert.equal((await whoAmI(at)).name, "alice");
await createRepo({ ...named, visibility: "private" });
const big = new Uint8Array(300_000).fill(7);
const parts = new Uint8Array(12 * 2 ** 20).fill(9);
await commit({
	...named,
	title: "Add",
	useXet: false,
	operations: [
		{ operation: "addOrUpdate", path: "small.txt", content: new Blob(["small"]) },
		{ operation: "addOrUpdate", path: "déjà vu/a b.txt", content: new Blob(["odd"]) },
		{ operation: "addOrUpdate", path: "big.bin", content: new Blob([big]) },
		{ operation: "addOrUpdate", path: "parts.bin", content: new Blob([parts]) },
	],
});
const names = [];
for await (const file of listFiles({ ...named, recursive: true })) {
	if (file.type === "file") names.push(file.path);
	if (file.path.endsWith(".bin")) assert.equal(typeof file.xetHash, mode === "http" ? "undefined" : "string");
}
assert.deepEqual(names.sort(), [".gitattributes", "big.bin", "déjà vu/a b.txt", "parts.bin", "small.txt"]);
for (const [path, content] of [["big.bin", big], ["parts.bin", parts]]) {
	const info = await fileDownloadInfo({ ...named, path });
	assert.equal(info.size, content.length);
	assert.equal(info.xet === undefined, mode === "http");
	const blob = await downloadFile({ ...named, path });
	assert.deepEqual(new Uint8Array(await blob.arrayBuffer()), content);
	const range = await blob.slice(5, 9).arrayBuffer();
	assert.deepEqual(new Uint8Array(range), content.slice(5, 9));
}
assert.equal(await (await downloadFile({ ...named, path: "déjà vu/a b.txt" })).text(), "odd");
assert.equal((await pathsInfo({ ...named, paths: ["small.txt", "none"] })).length, 1);
const made = await commit({
	...named,
	title: "Change",
	isPullRequest: true,
	operations: [{ operation: "delete", path: "small.txt" }],
});
assert.ok(made.pullRequestUrl.startsWith(`${hubUrl}/${repo}/discussions/`), made.pullRequestUrl);
const models = [];
for await (const model of listModels({ ...at, search: { owner: "alice" } })) models.push(model.name);
assert.deepEqual(models, [repo]);
await deleteRepo(named);
console.log("passed");
