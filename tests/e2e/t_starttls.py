# SPDX-License-Identifier: BSD-3-Clause
"""STARTTLS `pass`: the client's TLS ends at the backend; we carry bytes. And `off`: not offered."""

import os
import socket
import ssl
import subprocess

import clients
import mail
from lab import until
from target import Appliance


def setup():
    a = Appliance({"smtp": {"starttls": "pass", "starttls_max_score": 100}}, start=False)
    try:
        key, cert = a.path("tls.key"), a.path("tls.crt")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-subj", "/CN=mail1.example.org", "-keyout", key, "-out", cert], check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        a.lab.sh(f"postconf -c {a.lab.dir}/mail1/etc -e smtpd_tls_security_level=may "
                 f"smtpd_tls_cert_file={cert} smtpd_tls_key_file={key} smtpd_tls_received_header=yes "
                 "smtpd_tls_session_cache_database= tls_random_source=dev:/dev/urandom")
        a.lab.sh(f"sed -i '/^anvil/i tlsmgr unix - - n 1000? 1 tlsmgr' {a.lab.dir}/mail1/etc/master.cf")
        a.lab.sh(f"lab_mail postfix -c {a.lab.dir}/mail1/etc reload")
        a.start()
    except BaseException:
        a.close()
        raise
    return a


def tls(dialog):
    """Turns the dialog's connection into TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    dialog.sock = context.wrap_socket(dialog.sock)
    return dialog.sock


def offered(a):
    with clients.Dialog(a.lab, a) as d:
        return "STARTTLS" in d.hello()


def test_pass(a):
    until("STARTTLS among the words offered", 20, lambda: offered(a), 0.2)
    for v6 in (False, True):
        m = mail.Message(f"tls-{v6}", b"secret\r\n" * 20000)
        with clients.Dialog(a.lab, a, v6) as d:
            d.hello()
            d.want(220, "STARTTLS")
            tls(d)
            d.want(250, "EHLO client.example")
            code, words = d.deliver(m)
            assert code == 250, words
            d.want(221, "QUIT")
        until("delivery", 20, lambda: mail.arrived_all(a.lab, a.names, [m.ident]))
        mail.audit(a.lab, a.names, [m.ident])
        head = mail.Arrived(a.lab, a.names).head(m.ident)
        assert "TLSv1" in head, f"Postfix did not see TLS: {head}"
        assert ("2001:db8:1::1" if v6 else "192.0.2.1") in head, f"not the client's address: {head}"


def test_commands_injected_before_tls_are_dropped(a):
    """CVE-2011-0411: what follows STARTTLS in the same segment is not carried into the TLS session."""
    m = mail.Message("after-injection", b"mine\r\n")
    with clients.Dialog(a.lab, a) as d:
        d.hello()
        d.send("STARTTLS\r\nRSET\r\nMAIL FROM:<injected@client.example>\r\n")
        d.want(220)
        d.sock.settimeout(10)
        tls(d)
        d.want(250, "EHLO client.example")
        code, words = d.deliver(m)
        assert code == 250, words
        d.want(221, "QUIT")
    until("delivery", 20, lambda: mail.arrived_all(a.lab, a.names, [m.ident]))
    assert "injected@" not in mail.Arrived(a.lab, a.names).head(m.ident)


def test_mail_without_tls_still_passes(a):
    clients.deliver_all(a.lab, a, mail.batch("plain", 10), at_once=5, bound_s=20)


def test_client_gone_in_the_handshake(a):
    for _ in range(5):
        with clients.Dialog(a.lab, a) as d:
            d.hello()
            d.want(220, "STARTTLS")
            d.send(b"\x16\x03\x01\x02\x00\x01")
            d.sock.shutdown(socket.SHUT_RDWR)
    clients.deliver_all(a.lab, a, mail.batch("next", 5), at_once=5, bound_s=20)


def test_off(a):
    a.terminate()
    a.compile({"smtp": {"starttls": "off"}})
    a.start()
    with clients.Dialog(a.lab, a) as d:
        assert "STARTTLS" not in d.hello()
        code, words = d.cmd("STARTTLS")
        assert code in (454, 500, 502, 503), words
        d.want(221, "QUIT")
    assert os.path.exists(a.path("policy.img"))
