// Signing in with a passkey, which takes a script. Without one the button is not there.
'use strict'
{
  const part = document.getElementById('passkey')
  const form = document.getElementById('sign-in')
  const button = part.querySelector('button')
  const alert = part.querySelector('[role=alert]')

  const say = (text) => {
    alert.textContent = text
    alert.hidden = text === ''
  }

  const post = async (path, body) => {
    const headers = { 'content-type': 'application/json', 'x-csrf-token': form.elements.csrf.value }
    return fetch(path, { method: 'POST', headers, body: JSON.stringify(body) })
  }

  const signIn = async () => {
    const begun = await (await post('/account/sign-in/passkey/begin', {})).json()
    const options = PublicKeyCredential.parseRequestOptionsFromJSON(begun.options.publicKey)
    const answer = await navigator.credentials.get({ publicKey: options })
    const response = await post('/account/sign-in/passkey', {
      ceremony: begun.ceremony,
      answer: answer.toJSON(),
      remember: form.elements.remember.checked,
      next: form.elements.next.value,
    })
    const outcome = await response.json()
    if (outcome.next) return location.assign(outcome.next)
    say(outcome.problem ?? part.dataset.failed)
  }

  button.addEventListener('click', async () => {
    say('')
    button.disabled = true
    try {
      await signIn()
    } catch (error) {
      // Who closes the browser's dialogue has changed their mind.
      if (error.name !== 'NotAllowedError' && error.name !== 'AbortError') say(part.dataset.failed)
    }
    button.disabled = false
  })

  if (window.PublicKeyCredential?.parseRequestOptionsFromJSON) part.hidden = false
}
