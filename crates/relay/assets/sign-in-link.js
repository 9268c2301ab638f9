// Takes the secret of a link from its end, which is sent to no server, into the form. Without scripts people write it there.
'use strict'
{
  const token = document.getElementById('token')
  const secret = location.hash.slice(1)
  if (secret !== '') {
    token.value = secret
    document.getElementById('typed').hidden = true
    document.querySelector('main form button').focus()
  }
}
