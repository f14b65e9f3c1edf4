# SPDX-License-Identifier: BSD-3-Clause
"""What must have a test. The tests themselves are named by the tables of tests/smtp/README.md,
tests/unit/tcpstack/README.md and tests/unit/filters/README.md; this list is kept apart from them, so
that a row cannot be forgotten there without being missed here.
"""

# Obligations of RFC 5321 and its kin (tests/smtp/README.md says each in full); P28 comes with
# the filters they belong to.
PROTOCOL = [
    ("P1", "250 to the final dot is the backend's"),
    ("P2", "our timer after the final dot outlasts the client's"),
    ("P3", "354 is the backend's, or ours within the inspection window"),
    ("P4", "end of data is CR LF . CR LF alone"),
    ("P5", "stuffing is kept, scanned without, renewed where lines change"),
    ("P6", "line, path and message limits; longer is refused, not cut"),
    ("P7", "100 recipients and more; one pool a message"),
    ("P8", "five minutes for a command; delays below 30 s"),
    ("P9", "closing only after QUIT, 421, time-out or attack"),
    ("P10", "drain: 421 to the idle, the rest finish"),
    ("P11", "554 waits for QUIT, 521 closes, 421 defers"),
    ("P12", "the commands and their order"),
    ("P13", "postmaster is accepted"),
    ("P14", "the null sender is accepted"),
    ("P15", "source routes are syntax; local parts stay as they are"),
    ("P16", "an EHLO name never refuses by itself"),
    ("P17", "Received lines are left alone; loop limit"),
    ("P18", "EHLO offers what both ends carry"),
    ("P19", "pipelining: in order, one reply each, nothing lost at hand-over"),
    ("P20", "STARTTLS: never required, state and buffer forgotten"),
    ("P21", "BDAT"),
    ("P22", "SIZE"),
    ("P23", "enhanced codes agree; the backend's pass unchanged"),
    ("P24", "SMTPUTF8 only if the backend offers it"),
    ("P25", "A DNS list must get its test points right; errors are no listings"),
    ("P26", "SPF: bounded look-ups; temperror never refuses for good"),
    ("P27", "greylist: window, pools, white after success"),
    ("P29", "TCP: RFC 9293 and its kin"),
    ("P30", "IPv4 and IPv6 are equals"),
]

# Named TCP cases, each for IPv4 and IPv6; tests/unit/tcpstack/README.md has a row with the same words.
TCP_CASES = """
retransmission and backoff
fast retransmit
SACK recovery
tail loss probe
spurious retransmission undone
zero-window probe
zero-window persistence and user time-out
window shrink
window update
silly windows
MSS from option
MSS from default
MSS from path
PMTU lowered in mid-transfer
forged ICMP ignored
PAWS
timestamp missing after negotiation
unacceptable ACK in SYN-RECEIVED
SYN in ESTABLISHED
simultaneous open
simultaneous close
half-closed client still sending
FIN retransmission
FIN-WAIT-2 time-out
TIME-WAIT reset
TIME-WAIT reuse by newer timestamp
data on SYN
data on the handshake's ACK
data on FIN
option unknown
option malformed
option of zero length
option at the end of the header
header longer than the segment
wrong checksum
addresses equal
address broadcast
address multicast
address loopback
port 0
fragments overlapping
fragments duplicate
fragments out of order
fragments tiny
IPv6 extension headers
IPv6 routing header 0
land attack
sequence wrap
very small windows
peer that never reads
peer that never closes
peer that resets at every byte
""".strip().split("\n")

ONE_FAMILY = {"address broadcast", "IPv6 extension headers", "IPv6 routing header 0"}

# The grid: each event met in each state.
EVENTS = ["SYN", "SYN-ACK", "SYN+FIN", "bare ACK", "bad ACK", "data in window", "data left of it",
          "data right of it", "overlap", "FIN", "FIN with data", "RST in sequence", "RST in window",
          "RST outside", "URG"]
STATES = ["LISTEN", "SYN-SENT", "SYN-RECEIVED (cookie)", "SYN-RECEIVED (ring)", "ESTABLISHED",
          "FIN-WAIT-1", "FIN-WAIT-2", "CLOSING", "CLOSE-WAIT", "LAST-ACK", "TIME-WAIT", "CLOSED"]
