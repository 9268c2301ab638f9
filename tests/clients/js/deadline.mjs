/** Rejects with `what` in words when `promise` has not settled after `ms`. */
export function within(ms, what, promise) {
  const deadline = AbortSignal.timeout(ms)
  return new Promise((resolve, reject) => {
    deadline.addEventListener('abort', () => reject(new Error(`waited ${ms} ms for ${what}`)), { once: true })
    promise.then(resolve, reject)
  })
}
