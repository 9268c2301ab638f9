// Says while one types whether a handle is free. Without it, the form says so when it is sent.
'use strict'
{
  const input = document.getElementById('handle')
  const state = document.getElementById('handle-state')
  const domain = () => document.querySelector('[name=domain]').value
  let timer
  let asked = 0

  const say = (text, kind) => {
    state.textContent = text
    state.className = `hint state ${kind}`
  }

  const look = async () => {
    const turn = ++asked
    let name = input.value.trim().replace(/^@/, '').toLowerCase()
    if (name.endsWith(domain())) name = name.slice(0, -domain().length)
    if (name === '') return say('', '')
    if (!/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(name)) return say(input.dataset.characters, 'bad')
    if (name.length < 3) return say(input.dataset.tooShort, 'bad')
    if (name.length > 18) return say(input.dataset.tooLong, 'bad')
    const handle = name + domain()
    const query = new URLSearchParams({ handle })
    let answer
    try {
      const response = await fetch(`/xrpc/com.atproto.temp.checkHandleAvailability?${query}`)
      if (!response.ok) return say('', '')
      answer = (await response.json()).result
    } catch {
      return
    }
    // An answer to what was typed before tells nothing.
    if (turn !== asked) return
    if (answer.$type.endsWith('#resultAvailable')) return say(input.dataset.free.replace('{handle}', handle), 'good')
    const free = answer.suggestions.map((suggestion) => suggestion.handle).join(', ')
    say(free === '' ? input.dataset.taken : input.dataset.takenTry.replace('{free}', free), 'bad')
  }

  const soon = () => {
    clearTimeout(timer)
    timer = setTimeout(look, 350)
  }
  input.addEventListener('input', soon)
  document.querySelector('[name=domain]').addEventListener('change', soon)
}
