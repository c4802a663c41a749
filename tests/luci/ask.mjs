// SPDX-License-Identifier: GPL-2.0-or-later
/* Calls functions of LuCI modules: a request a line on standard input, { module, function, arguments }, and an answer a
 * line on standard output. */

import { createInterface } from 'node:readline';
import { load } from './modules.mjs';

const loaded = {};

for await (const line of createInterface({ input: process.stdin })) {
	const request = JSON.parse(line);
	const module = loaded[request.module] ??= load(request.module);
	console.log(JSON.stringify(module[request.function](...request.arguments) ?? null));
}
