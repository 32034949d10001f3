#!/bin/sh
# Writes nginx' public configuration, sealed with the passphrase that only the backup user reads.
set -eu
tar -C /etc -ch nginx/listen.conf nginx/tls.crt | openssl enc -aes-256-ctr -pbkdf2 -pass file:/etc/backup/passphrase
