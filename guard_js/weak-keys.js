/** Rejects RSA keys that are too weak to verify tokens: a signature proves nothing if others can
 * factor the key. */

const MIN_BITS = 2048;
const MIN_EXPONENT = 3n;
/** Moduli have no prime factor below this (NIST SP 800-89 section 5.3.3). */
const SMALLEST_FACTOR = 752;
const ROCA_GENERATOR = 65537n;
const ROCA_PRIMES_END = 168n;

/** @type {bigint[]} */
const PRIMES = [];
for (let n = 2n; n < SMALLEST_FACTOR; n += 1n) if (PRIMES.every((p) => n % p)) PRIMES.push(n);

/** Why an RSA key is too weak for its signatures to be trusted, if it is.
 * @param {bigint} modulus @param {bigint} exponent @returns {string | undefined} */
export function findWeakness(modulus, exponent) {
  const bits = modulus.toString(2).length;
  if (bits < MIN_BITS) return `an RSA key of ${bits} bits, less than ${MIN_BITS} (RFC 7518, 3.3)`;
  if (exponent < MIN_EXPONENT || exponent % 2n === 0n)
    return `an RSA key whose exponent is even or below ${MIN_EXPONENT}`;
  if (PRIMES.some((prime) => modulus % prime === 0n))
    return "an RSA key whose modulus has a small factor";
  if (PRIMES.every((prime) => !isRocaPrime(prime) || isPower(modulus % prime, prime)))
    return "an RSA key of a generator whose keys can be factored (CVE-2017-15361)";
  return undefined;
}

/** @param {bigint} prime */
const isRocaPrime = (prime) => prime > 2n && prime < ROCA_PRIMES_END;

/** Whether a number is a power of 65537 modulo a prime, as all factors are that Infineon's library
 * made (Nemec et al., The Return of Coppersmith's Attack, CCS 2017, section 2.4).
 * @param {bigint} residue @param {bigint} prime */
function isPower(residue, prime) {
  let power = 1n;
  do {
    if (power === residue) return true;
    power = (power * ROCA_GENERATOR) % prime;
  } while (power !== 1n);
  return false;
}
