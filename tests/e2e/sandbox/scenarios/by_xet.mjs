// @huggingface/hub up and down by Xet, against the sandbox.
import { commit, createRepo, downloadFile, fileDownloadInfo } from "@huggingface/hub";
import assert from "node:assert/strict";

const [hubUrl, accessToken] = process.argv.slice(2);
const named = { hubUrl, accessToken, repo: "alice/js" };
const content = new Uint8Array(3_000_000).map((_, at) => (at * at * 31) >> 7);

await createRepo(named);
const operations = [{ operation: "addOrUpdate", path: "weights.bin", content: new Blob([content]) }];
await commit({ ...named, title: "Add", operations });
const info = await fileDownloadInfo({ ...named, path: "weights.bin" });
assert.equal(info.size, content.length);
assert.ok(info.xet);
const blob = await downloadFile({ ...named, path: "weights.bin" });
assert.deepEqual(new Uint8Array(await blob.arrayBuffer()), content);
assert.deepEqual(new Uint8Array(await blob.slice(1_000_000, 1_500_000).arrayBuffer()), content.slice(1_000_000, 1_500_000));
console.log("passed");
