//! One request, as a hostile client may write it. The server would read each of these forms as the same request, or
//! close the connection for it.

use super::random::Random;

/// In a random form.
pub fn framed(random: &mut Random, words: &[Vec<u8>]) -> Vec<u8> {
    let mut words = words.to_vec();
    if random.once_in(3) {
        respell(random, &mut words);
    }
    let mut bytes = nothing(random);
    match random.below(12) {
        0..6 => bytes.extend_from_slice(&array(&words)),
        6 => bytes.extend_from_slice(&loose(random, &words)),
        7 => bytes.extend_from_slice(&plain_line(random, &words)),
        8 | 9 => bytes.extend_from_slice(&quoted_line(random, &words)),
        10 => bytes.extend_from_slice(&huge(random, &words)),
        _ => {
            // The first request of a read, and one that was read with another before it, take different ways.
            bytes.extend_from_slice(&array(&[b"GET".to_vec(), b"str:0".to_vec()]));
            bytes.extend_from_slice(&array(&words));
        }
    }
    bytes
}

/// An array of bulk strings, as clients write it.
pub fn array(words: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// Nothing to a server, mostly nothing at all.
fn nothing(random: &mut Random) -> Vec<u8> {
    const NOTHING: &[&[u8]] = &[
        b"\r\n",
        b"\n",
        b"\r\n\r\n",
        b" \r\n",
        b"*0\r\n",
        b"*-1\r\n",
        b"*-2147483648\r\n",
    ];
    if random.once_in(6) {
        NOTHING[random.below(NOTHING.len())].to_vec()
    } else {
        Vec::new()
    }
}

/// Other cases of the letters of the name and of what may be its subcommand.
fn respell(random: &mut Random, words: &mut [Vec<u8>]) {
    for byte in words.iter_mut().take(2).flatten() {
        if byte.is_ascii_alphabetic() && random.once_in(2) {
            *byte ^= 0x20;
        }
    }
}

/// An array whose line ends are none: servers look at their length only.
fn loose(random: &mut Random, words: &[Vec<u8>]) -> Vec<u8> {
    let ends: [&[u8]; 4] = [b"\r\n", b"\rx", b"\n\n", b"*1"];
    let mut bytes = format!("*{}\r", words.len()).into_bytes();
    bytes.push(b'\n' ^ u8::from(random.once_in(3)));
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(ends[random.below(ends.len())]);
    }
    bytes
}

/// A line without quotes, which says something else where a word is not plain.
fn plain_line(random: &mut Random, words: &[Vec<u8>]) -> Vec<u8> {
    let blanks = ["", " ", "\t", "  "];
    let mut line = random.pick(&blanks).as_bytes().to_vec();
    line.extend_from_slice(&words.join(&b' '));
    line.extend_from_slice(random.pick(&["\r\n", "\n", " \r\n"]).as_bytes());
    line
}

/// A line of words in quotes of either kind, some of their bytes escaped.
fn quoted_line(random: &mut Random, words: &[Vec<u8>]) -> Vec<u8> {
    let mut line = Vec::new();
    for word in words {
        if random.once_in(4) && !word.contains(&b'\'') && !word.contains(&b'\\') {
            line.push(b'\'');
            line.extend_from_slice(word);
            line.push(b'\'');
        } else {
            line.push(b'"');
            for byte in word {
                if byte.is_ascii_alphanumeric() && !random.once_in(3) {
                    line.push(*byte);
                } else {
                    line.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
                }
            }
            line.push(b'"');
        }
        line.push(b' ');
    }
    line.extend_from_slice(b"\r\n");
    line
}

/// With a number in it that is far too large, or written as no server writes it, and the request behind that: whoever
/// does not close the connection reads on in the wrong place.
fn huge(random: &mut Random, words: &[Vec<u8>]) -> Vec<u8> {
    let declared = random.pick(&[
        "*1048577\r\n",
        "*2147483647\r\n",
        "*2\r\n$536870912\r\n",
        "*2\r\n$4\r\nECHO\r\n$536870913\r\n",
        "*2\r\n$4\r\nECHO\r\n$9223372036854775807\r\n",
        "*2\r\n$4\r\nECHO\r\n$-1\r\n",
        "*2\r\n$4\r\nECHO\r\n$00000004\r\n",
        "*2\r\n$4\r\nECHO\r\n$+4\r\n",
        "*2\r\n$4\r\nECHO\r\n$4294967300\r\n",
        "*2\r\n$4\r\nECHO\r\n$18446744073709551620\r\n",
        "*4294967297\r\n",
        "*18446744073709551617\r\n",
        "*+1\r\n",
        "*01\r\n",
    ]);
    [declared.as_bytes(), &array(words)].concat()
}
