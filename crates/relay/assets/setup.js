// What makes the set-up lighter to use. All of it works without, by hand.
'use strict'
{
  // Buttons that copy what stands beside them.
  const copying = (root) => {
    for (const button of root.querySelectorAll('button[data-copy]')) {
      button.hidden = false
      button.addEventListener('click', async () => {
        await navigator.clipboard.writeText(button.dataset.copy)
        const before = button.textContent
        button.textContent = button.dataset.copied
        setTimeout(() => (button.textContent = before), 1500)
      })
    }
  }

  // A part of the page that is looked at again, every few seconds or once.
  const look = async (part, url) => {
    let response
    try {
      response = await fetch(url)
      if (!response.ok || response.redirected) return
    } catch {
      return
    }
    const found = new DOMParser().parseFromString(await response.text(), 'text/html').getElementById(part.id)
    if (!found || found.innerHTML === part.innerHTML) return
    part.innerHTML = found.innerHTML
    copying(part)
  }

  const polled = document.querySelector('[data-poll]')
  if (polled) {
    const seconds = Number(polled.dataset.poll)
    const again = async () => {
      if (!document.hidden) await look(polled, location.href)
      setTimeout(again, seconds * 1000)
    }
    setTimeout(again, seconds * 1000)
  }

  const loaded = document.querySelector('[data-load]')
  if (loaded) {
    loaded.setAttribute('aria-busy', 'true')
    const wait = loaded.querySelector('[data-wait]')
    if (wait) wait.textContent = wait.dataset.wait
    look(loaded, loaded.dataset.load).then(() => loaded.removeAttribute('aria-busy'))
  }

  // What takes its time says so, and is not sent twice.
  for (const form of document.querySelectorAll('form[data-busy]')) {
    form.addEventListener('submit', () => {
      const button = form.querySelector('button.primary')
      button.textContent = form.dataset.busy
      // Not before the form is on its way: a disabled button would not be sent.
      setTimeout(() => (button.disabled = true))
    })
  }

  // What waits for another server to answer. The way there is open to whoever knows better, once it took long.
  const waiting = document.querySelector('[data-answers]')
  if (waiting) {
    const [note, way] = waiting.children
    const until = Date.now() + 20_000
    note.hidden = false
    way.hidden = true
    const ask = async () => {
      const answers = await fetch(waiting.dataset.answers, { cache: 'no-store', credentials: 'omit' }).then(({ ok }) => ok, () => false)
      if (answers) {
        note.hidden = true
        way.hidden = false
        return
      }
      if (Date.now() > until && way.hidden) {
        note.textContent = waiting.dataset.silent
        way.hidden = false
      }
      setTimeout(ask, 2000)
    }
    ask()
  }

  copying(document)
}
