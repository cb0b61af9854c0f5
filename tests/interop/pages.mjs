// Drives the hub's pages in Chromium and says what it saw, as one JSON object on stdout.
//
//   node pages.mjs JOB.json      from the folder whose node_modules has playwright-core
//
// The job: {chromium, shots, steps: [{name, goto | press | key, ...}]}.  A step ends with a report on
// the page: its URL, text, whether anything ran or was loaded from elsewhere, whether it fits on a small
// screen, what axe finds.
import { createRequire } from 'node:module'
import { readFileSync, mkdirSync } from 'node:fs'

const job = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const require = createRequire(`${job.modules}/node_modules/`)
const { chromium } = require('playwright-core')
const { AxeBuilder } = require('@axe-core/playwright')

const seen = { dialogs: [], foreign: [], errors: [] }
mkdirSync(job.shots, { recursive: true })
const browser = await chromium.launch({
  executablePath: job.chromium,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
         '--disable-component-update', '--disable-sync']
})

async function context (options = {}) {
  const c = await browser.newContext(options)
  const page = await c.newPage()
  page.on('dialog', d => { seen.dialogs.push(d.message()); d.dismiss() })
  page.on('request', r => {
    if (!job.origins.some(o => r.url().startsWith(o))) seen.foreign.push(r.url())
  })
  return page
}

async function report (page, name, axe) {
  const facts = await page.evaluate(() => ({
    title: document.title,
    text: document.body.innerText,
    scripts: document.scripts.length,
    handlers: [...document.querySelectorAll('*')].flatMap(e => [...e.attributes])
      .filter(a => a.name.startsWith('on')).length,
    focusable: [...document.querySelectorAll('a[href],button,input:not([type=hidden])')].length,
    lang: document.documentElement.lang
  }))
  const violations = axe
    ? (await new AxeBuilder({ page }).analyze()).violations.map(v => `${v.id}: ${v.nodes.map(n => n.html).join(' ')}`)
    : []
  if (job.screens) {
    await page.screenshot({ path: `${job.shots}/${name}.png`, fullPage: true })
  }
  return { name, url: page.url(), ...facts, violations }
}

/* A small phone: nothing may stand beside the screen. */
async function narrow (page) {
  const size = page.viewportSize()
  await page.setViewportSize({ width: 320, height: 640 })
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth)
  await page.setViewportSize(size)
  return wide
}

async function keyboard (page, words) {
  for (let i = 0; i < 40; i++) {
    await page.keyboard.press('Tab')
    const at = await page.evaluate(() => document.activeElement?.innerText ?? '')
    if (at.startsWith(words)) return true
  }
  return false
}

const reports = []
let page = await context()
for (const step of job.steps) {
  if (step.context) page = await context(step.context)
  if (step.goto) await page.goto(step.goto, { waitUntil: 'load' })
  if (step.press) {
    await Promise.all([page.waitForURL(u => u.href.startsWith(step.until), { timeout: 20000 }),
                       page.getByRole(step.role ?? 'button', { name: step.press }).first().click({ noWaitAfter: true })])
  }
  if (step.key) {
    if (!await keyboard(page, step.key)) throw new Error(`no ${step.key} by keyboard`)
    await Promise.all([page.waitForURL(u => u.href.startsWith(step.until), { timeout: 20000 }),
                       page.keyboard.press('Enter')])
  }
  await page.waitForLoadState('load')
  const r = await report(page, step.name, step.axe)
  if (step.narrow) r.wide = await narrow(page)
  reports.push(r)
}
await browser.close()
console.log(JSON.stringify({ seen, reports }))
