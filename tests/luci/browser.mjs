// SPDX-License-Identifier: GPL-2.0-or-later
/* Drives a Chromium: reads an order a line on standard input as JSON, answers each with one line. tests/luci/browser.py
 * says what the orders are. First argument: the browser's program. */

import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const browser = await chromium.launch({ executablePath: process.argv[2], args: [ '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage' ] });
let page, problems = [];

const orders = {
	async fresh({ width, height, dark }) {
		await page?.context().close();
		const context = await browser.newContext({ viewport: { width, height }, colorScheme: dark ? 'dark' : 'light' });
		page = await context.newPage();
		problems = [];
		page.setDefaultTimeout(20000);
		page.on('console', message => message.type() == 'error' && problems.push(`${message.text()} ${message.location().url}`));
		page.on('pageerror', error => problems.push(String(error.stack ?? error)));
		page.on('requestfailed', request => request.failure()?.errorText != 'net::ERR_ABORTED' &&
			problems.push(`${request.url()}: ${request.failure()?.errorText}`));
		page.on('response', response => response.status() >= 400 && problems.push(`${response.status()} ${response.url()}`));
	},
	open: ({ url }) => page.goto(url).then(() => null),
	post: ({ url, form }) => page.context().request.post(url, { form, maxRedirects: 0 }).then(response => response.status()),
	size: ({ width, height }) => page.setViewportSize({ width, height }),
	dark: ({ dark }) => page.emulateMedia({ colorScheme: dark ? 'dark' : 'light' }),
	evaluate: ({ script }) => page.evaluate(script),
	wait: ({ script, seconds }) => page.waitForFunction(script, null, { timeout: seconds * 1000, polling: 100 }).then(() => null),
	click: ({ selector }) => page.click(selector),
	hover: ({ selector }) => page.hover(selector),
	fill: ({ selector, text }) => page.fill(selector, text),
	focus: ({ selector }) => page.focus(selector),
	press: ({ key }) => page.keyboard.press(key),
	shot: ({ path, full }) => page.screenshot({ path, fullPage: full }).then(() => null),
	problems: () => problems.splice(0)
};

for await (const line of createInterface({ input: process.stdin })) {
	const order = JSON.parse(line);
	let answer;
	try {
		answer = { result: await orders[order.order](order) ?? null };
	}
	catch (error) {
		answer = { error: String(error), problems };
	}
	console.log(JSON.stringify(answer));
}
await browser.close();
