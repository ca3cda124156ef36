#!/usr/bin/env bash
# Starts and stops the servers the tests talk to: PostgreSQL, MariaDB and Redis, on free loopback ports, with what data they
# keep in a folder of the caller's. The databases take plain connections and TLS, with certificates made at the start.
#
#   eval "$(.ci/servers.sh start DIR)"     prints `export DATABOT_TEST_…=…` lines
#   .ci/servers.sh stop DIR
#   .ci/servers.sh install                 through apt, as root, what is missing
#
# A server that is not installed is left out with a line on stderr: CI turns the missing URL into failing tests.
# DATABOT_TEST_TLS is a folder: ca.crt, good.crt and expired.crt for the name "localhost" only, client.crt and client.key,
# stranger.crt of another authority, clean.crl and revoked.crl (where good.crt is revoked), and what the servers use now:
# postgres.crt, mariadb.crt.
set -euo pipefail

# The folder of the server: the client's package makes it too, so look for what only the server brings.
PG_BIN=$(ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null | sort -V | tail -n 1 | xargs -r dirname || true)

# With characters that break a URL which does not encode them: passwords may hold any.
PASSWORD='p@ss/w:rd'
PASSWORD_IN_URL='p%40ss%2Fw%3Ard'

free_port() { python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])'; }
say() { printf '%s\n' "$*" >&2; }

as_postgres() { # PostgreSQL refuses to run as root
  if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
}

new_key() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "$@" 2>/dev/null; }

signed() { # signed AUTHORITY REQUEST NAME DAYS: the certificate NAME.crt
  openssl x509 -req -in "$2.csr" -CA "$1.crt" -CAkey "$1.key" -CAcreateserial -days "$4" -out "$3.crt" \
    -extfile <(printf 'subjectAltName=DNS:localhost\n') 2>/dev/null
}

revoked() { # revoked NAME: clean.crl, where nothing is revoked, and revoked.crl, where NAME.crt is
  : >index
  printf '[ca]\ndefault_ca=d\n[d]\ndatabase=index\ndefault_md=sha256\ndefault_crl_days=30\n' >ca.cnf
  local ca=(openssl ca -config ca.cnf -cert ca.crt -keyfile ca.key)
  "${ca[@]}" -gencrl -out clean.crl 2>/dev/null
  "${ca[@]}" -revoke "$1.crt" 2>/dev/null
  "${ca[@]}" -gencrl -out revoked.crl 2>/dev/null
}

make_certificates() {
  command -v openssl >/dev/null 2>&1 || { say "openssl is not installed"; return 0; }
  mkdir -p "$1/tls"
  ( cd "$1/tls"
    local name
    for name in ca stranger; do new_key -x509 -keyout $name.key -out $name.crt -days 30 -subj "/CN=databot test $name"; done
    for name in server client; do new_key -keyout $name.key -out $name.csr -subj "/CN=$name"; done
    signed ca server good 30
    signed ca server expired -1
    signed ca client client 30
    revoked good
    cp good.crt postgres.crt
    cp good.crt mariadb.crt
    chmod 644 ./*.crt ./*.key ) # the keys too: the tests' user reads them, and they open nothing
  echo "export DATABOT_TEST_TLS=$1/tls"
}

start_postgres() {
  [ -n "$PG_BIN" ] || { say "PostgreSQL is not installed"; return 0; }
  local dir=$1/postgres port
  port=$(free_port)
  mkdir -p "$dir"
  [ "$(id -u)" != 0 ] || chown postgres "$dir"
  printf '%s' "$PASSWORD" >"$1/password"
  chmod 644 "$1/password"
  as_postgres "$PG_BIN/initdb" -D "$dir/data" -A scram-sha-256 --pwfile="$1/password" -U databot --no-sync \
    >"$1/postgres-init.log" 2>&1 || { say "initdb failed: $(tail -n 2 "$1/postgres-init.log")"; return 1; }
  local tls=()
  if [ -d "$1/tls" ]; then
    install -m 600 "$1/tls/server.key" "$dir/server.key"
    [ "$(id -u)" != 0 ] || chown postgres "$dir/server.key"
    tls=(-c ssl=on -c "ssl_ca_file=$1/tls/ca.crt" -c "ssl_cert_file=$1/tls/postgres.crt" -c "ssl_key_file=$dir/server.key")
    # Two roles of the tests: one that must encrypt, one that must show a certificate too.
    sed -i '1i hostssl all databot_tls 127.0.0.1/32 scram-sha-256\nhostnossl all databot_tls 127.0.0.1/32 reject\nhostssl all databot_certified 127.0.0.1/32 scram-sha-256 clientcert=verify-ca' "$dir/data/pg_hba.conf"
  fi
  as_postgres "$PG_BIN/pg_ctl" -D "$dir/data" -l "$dir/log" -w -t 30 start \
    -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories=$dir -c shared_buffers=64MB -c max_connections=200 ${tls[*]}" >&2
  PGPASSWORD=$PASSWORD as_postgres "$PG_BIN/createdb" -h 127.0.0.1 -p "$port" -U databot databot
  echo "export DATABOT_TEST_POSTGRES_URL=postgresql://databot:$PASSWORD_IN_URL@127.0.0.1:$port/databot"
}

start_mariadb() {
  command -v mariadbd >/dev/null 2>&1 || { say "MariaDB is not installed"; return 0; }
  local dir=$1/mariadb port i tls=()
  port=$(free_port)
  mkdir -p "$dir"
  mariadb-install-db --no-defaults --datadir="$dir/data" --auth-root-authentication-method=normal \
    --skip-test-db --user="$(id -un)" >"$dir/install.log" 2>&1
  [ ! -d "$1/tls" ] || tls=("--ssl-ca=$1/tls/ca.crt" "--ssl-cert=$1/tls/mariadb.crt" "--ssl-key=$1/tls/server.key")
  mariadbd --no-defaults "${tls[@]}" --user="$(id -un)" --datadir="$dir/data" --bind-address=127.0.0.1 --port="$port" \
    --socket="$dir/s" --pid-file="$dir/pid" --skip-name-resolve --innodb-buffer-pool-size=64M >"$dir/log" 2>&1 </dev/null &
  for i in $(seq 150); do
    mariadb --no-defaults -u root -S "$dir/s" -e 'SELECT 1' >/dev/null 2>&1 && break
    [ "$i" != 150 ] || { say "MariaDB did not start: $(tail -n 3 "$dir/log")"; return 1; }
    sleep 0.2
  done
  mariadb --no-defaults -u root -S "$dir/s" -e "CREATE DATABASE databot; CREATE USER 'databot'@'127.0.0.1' IDENTIFIED BY '$PASSWORD';
    GRANT ALL ON *.* TO 'databot'@'127.0.0.1' WITH GRANT OPTION;"
  echo "export DATABOT_TEST_MYSQL_URL=mysql://databot:$PASSWORD_IN_URL@127.0.0.1:$port/databot"
}

start_redis() { # keeps nothing on disk
  command -v redis-server >/dev/null 2>&1 || { say "Redis is not installed"; return 0; }
  local dir=$1/redis port i
  port=$(free_port)
  mkdir -p "$dir"
  redis-server --port "$port" --bind 127.0.0.1 --requirepass "$PASSWORD" --save '' --appendonly no --dir "$dir" \
    --pidfile "$dir/pid" --logfile "$dir/log" --daemonize yes >&2
  for i in $(seq 100); do
    REDISCLI_AUTH=$PASSWORD redis-cli -h 127.0.0.1 -p "$port" ping >/dev/null 2>&1 && break
    [ "$i" != 100 ] || { say "Redis did not start: $(tail -n 3 "$dir/log")"; return 1; }
    sleep 0.1
  done
  echo "export DATABOT_TEST_REDIS_URL=redis://:$PASSWORD_IN_URL@127.0.0.1:$port/0"
}

stop_all() {
  if [ -f "$1/redis/pid" ]; then kill "$(cat "$1/redis/pid")" 2>/dev/null || true; fi
  if [ -d "$1/postgres/data" ]; then as_postgres "$PG_BIN/pg_ctl" -D "$1/postgres/data" -m immediate stop >/dev/null 2>&1 || true; fi
  if [ -f "$1/mariadb/pid" ]; then
    kill "$(cat "$1/mariadb/pid")" 2>/dev/null || true
    for _ in $(seq 100); do [ -f "$1/mariadb/pid" ] || break; sleep 0.1; done
  fi
  rm -rf "$1"
}

install_missing() {
  local missing=()
  [ -n "$PG_BIN" ] || missing+=(postgresql)
  command -v mariadbd >/dev/null 2>&1 || missing+=(mariadb-server)
  command -v redis-server >/dev/null 2>&1 || missing+=(redis-server)
  command -v openssl >/dev/null 2>&1 || missing+=(openssl)
  command -v chromium >/dev/null 2>&1 || missing+=(chromium)
  [ ${#missing[@]} = 0 ] && return 0
  say "installing: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq >&2
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}

case "${1:-}" in
  install) install_missing ;;
  start)
    mkdir -p "$2"
    chmod 755 "$2"
    make_certificates "$2"
    start_postgres "$2"
    start_mariadb "$2"
    start_redis "$2"
    ;;
  stop) stop_all "$2" ;;
  *) say "usage: servers.sh install | start DIR | stop DIR"; exit 2 ;;
esac
