// Adds a passkey, or asks for one: a form with data-passkey="create" or "get" is shown only where scripts run, and what has the
// class `unscripted` only where they do not.
'use strict'
{
  const post = async (form, url, body) => {
    const headers = { 'content-type': 'application/json', 'x-csrf-token': form.elements.csrf.value }
    const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
    if (!response.ok) throw new Error(`status ${response.status}`)
    // Whoever has to confirm again is led to a page, which is no answer.
    if (response.redirected) {
      location.reload()
      throw new Error('redirected')
    }
    return response.json()
  }

  const run = async (form) => {
    const { ceremony, options } = await post(form, form.dataset.begin, {})
    const isNew = form.dataset.passkey === 'create'
    const publicKey = isNew
      ? PublicKeyCredential.parseCreationOptionsFromJSON(options.publicKey)
      : PublicKeyCredential.parseRequestOptionsFromJSON(options.publicKey)
    const credential = await (isNew ? navigator.credentials.create({ publicKey }) : navigator.credentials.get({ publicKey }))
    const body = { ceremony, answer: JSON.stringify(credential.toJSON()) }
    for (const name of ['name', 'next']) {
      const field = form.elements.namedItem(name)
      if (field) body[name] = field.value
    }
    const { next } = await post(form, form.dataset.finish, body)
    location.assign(next)
  }

  for (const note of document.querySelectorAll('.unscripted')) note.hidden = true
  for (const form of document.querySelectorAll('form[data-passkey]')) {
    const problem = form.querySelector('[role=alert]')
    const button = form.querySelector('button')
    const say = (text) => {
      problem.textContent = text
      problem.hidden = false
    }
    form.hidden = false
    if (!window.PublicKeyCredential?.parseCreationOptionsFromJSON) {
      button.disabled = true
      say(form.dataset.unsupported)
      continue
    }
    form.addEventListener('submit', async (event) => {
      event.preventDefault()
      problem.hidden = true
      button.disabled = true
      try {
        await run(form)
      } catch {
        say(form.dataset.failed)
      }
      button.disabled = false
    })
  }
}
