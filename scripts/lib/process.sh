# shellcheck shell=bash
# Processes and ports that outlive the script that started them; scripts/services and scripts/cluster share this.
#
# A process lives in a directory of its own: `pid` (pid, start time and boot, so that a pid that the system gave to
# somebody else is never taken for ours), `log`, and one file for each port. A port is chosen once and kept in its file:
# whoever is restarted comes back where its clients look for it.

# Ports are taken from below the range that the kernel hands out to clients.
readonly PORT_FIRST=20000
readonly PORTS=12000
# Ports that are chosen but perhaps not listened on, of everybody on this machine: one file each, naming its holder.
readonly RESERVED=/tmp/rushmall-ports
# Bounds of waiting, seconds.
readonly LOCK_WAIT=180
readonly STOP_WAIT=60
readonly KILL_WAIT=60

say() { printf '%s\n' "$*" >&2; }
die() { say "${0##*/}: $*"; exit 1; }

# seconds SINCE_MS: the time since then, as 1.23
seconds() {
    local passed=$(($(now_ms) - $1))
    printf '%d.%02d' $((passed / 1000)) $((passed % 1000 / 10))
}
now_ms() { date +%s%3N; }

# Enough descriptors for thousands of connections, where the limit allows; not the millions of some machines, for which
# old servers make tables.
raise_limits() {
    ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)" 2>/dev/null || true
}

# absolute DIR: makes it and prints its absolute path. Paths go into configuration files and lines for `eval`.
absolute() {
    mkdir -p -- "$1" || return 1
    local dir
    dir=$(cd -- "$1" && pwd -P) || return 1
    [[ $dir =~ ^[A-Za-z0-9._/+@-]+$ ]] || die "$dir: only letters, digits and ._/+@- may be in this path"
    printf '%s\n' "$dir"
}

# identity PID: "PID START BOOT" of a live process
identity() {
    local stat boot
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    read -ra stat <<<"${stat##*) }"
    [[ ${stat[0]} != Z ]] || return 1
    read -r boot </proc/sys/kernel/random/boot_id
    printf '%s %s %s\n' "$1" "${stat[19]}" "$boot"
}

# running DIR: prints the pid of the process of DIR, fails if it is not alive
running() {
    local remembered
    { read -r remembered <"$1/pid"; } 2>/dev/null || return 1
    [[ $(identity "${remembered%% *}") == "$remembered" ]] || return 1
    printf '%s\n' "${remembered%% *}"
}

# spawn DIR COMMAND...: starts a server that survives this script; its output goes to DIR/log
spawn() {
    local dir=$1 child
    shift
    printf '%s started %s\n' "$(date -u +%FT%TZ)" "$1" >>"$dir/log"
    stat -c %s -- "$dir/log" >"$dir/log.start"
    setsid -- "$@" </dev/null >>"$dir/log" 2>&1 8>&- 9>&- &
    child=$!
    identity "$child" >"$dir/pid.new" || die "$1 ended at once; see $dir/log"
    mv -- "$dir/pid.new" "$dir/pid"
}

# gone DIR SECONDS: waits until the process of DIR has ended
gone() {
    local deadline=$(($(now_ms) + $2 * 1000))
    while running "$1" >/dev/null; do
        (($(now_ms) < deadline)) || return 1
        sleep 0.05
    done
}

# stop_process DIR SIGNAL: asks it to end, waits, and kills it if it does not
stop_process() {
    local pid
    if pid=$(running "$1"); then
        # one that was stopped (SIGSTOP) must go on to hear the signal
        kill -s "$2" "$pid" 2>/dev/null || true
        kill -s CONT "$pid" 2>/dev/null || true
        if ! gone "$1" "$STOP_WAIT"; then
            say "${1##*/} did not stop within $STOP_WAIT s: killing it"
            kill_process "$1"
        fi
    fi
    rm -f -- "$1/pid"
}

# kill_process DIR: SIGKILL to it and to its children, as if the machine had dropped them
kill_process() {
    local pid child
    local -a children=()
    pid=$(running "$1") || return 1
    mapfile -t children < <(children_of "$pid")
    kill -s KILL "$pid" 2>/dev/null || true
    for child in "${children[@]}"; do
        if [[ $(identity "${child%% *}") == "$child" ]]; then kill -s KILL "${child%% *}" 2>/dev/null || true; fi
    done
    gone "$1" "$KILL_WAIT" || die "${1##*/} (pid $pid) is still there $KILL_WAIT s after SIGKILL"
    rm -f -- "$1/pid"
}

# children_of PID: the identity of each child, one a line
children_of() {
    local file stat
    for file in /proc/[0-9]*/stat; do
        { read -r stat <"$file"; } 2>/dev/null || continue
        read -ra stat <<<"${stat##*) }"
        if [[ ${stat[1]} == "$1" ]]; then
            file=${file%/stat}
            identity "${file##*/}" || true
        fi
    done
}

# until_ready DIR SECONDS CHECK...: repeats CHECK until it succeeds; tells the end of the log if it does not
until_ready() {
    # not named dir: CHECK sees our variables
    local of=$1 deadline=$(($(now_ms) + $2 * 1000)) bound=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        if ! running "$of" >/dev/null; then
            not_ready "$of" "ended while it started"
            return 1
        elif (($(now_ms) >= deadline)); then
            not_ready "$of" "was not ready within $bound s"
            return 1
        fi
        sleep 0.03
    done
    # the answer must be ours, not that of a stranger who took the port first
    running "$of" >/dev/null || { not_ready "$of" "ended while it started"; return 1; }
}

# not_ready DIR WHAT: with what it logged since its last start, at most 30 lines
not_ready() {
    say "${1##*/} $2; the end of $1/log:"
    tail -c "+$(($(cat -- "$1/log.start" 2>/dev/null || echo 0) + 1))" -- "$1/log" | tail -n 30 >&2 || true
}

# port FILE: the port kept in FILE; at the first call a free one
port() {
    local file=$1 port tries
    if [[ ! -s $file ]]; then
        mkdir -m 1777 -- "$RESERVED" 2>/dev/null || true
        for ((tries = 0; tries < 1000; tries++)); do
            port=$((PORT_FIRST + SRANDOM % PORTS))
            if reserve "$port" "$file" && ! listened_on "$port"; then
                printf '%s\n' "$port" >"$file"
                break
            fi
        done
        [[ -s $file ]] || die "no free port in $PORT_FIRST..$((PORT_FIRST + PORTS))"
    fi
    cat -- "$file"
}

# reserve PORT FILE: notes that FILE holds PORT; a note of a file that is gone counts no longer
reserve() {
    local note=$RESERVED/$1 holder
    if { read -r holder <"$note"; } 2>/dev/null && [[ ! -e $holder && $(find "$note" -mmin +2 2>/dev/null) ]]; then
        rm -f -- "$note" 2>/dev/null || return 1
    fi
    (set -o noclobber && printf '%s\n' "$2" >"$note") 2>/dev/null
}

# give_back FILE...: ends the reservation of the ports kept in these files
give_back() {
    local file
    for file; do
        if [[ -s $file ]]; then rm -f -- "$RESERVED/$(<"$file")" "$file" || true; fi
    done
}

listened_on() {
    local hex
    printf -v hex ':%04X ' "$1"
    grep -qsE "^ *[0-9]+: [0-9A-F]+$hex" /proc/net/tcp /proc/net/tcp6
}

# lock FILE: one script at a time; held until the (sub)shell ends
lock() {
    exec 9>"$1"
    flock -w "$LOCK_WAIT" 9 || die "$1 is held by another ${0##*/} for more than $LOCK_WAIT s"
}

# apt_install PACKAGE...: from Debian, as root or by sudo
apt_install() {
    local -a as_root=()
    if ((EUID != 0)); then
        sudo -n true 2>/dev/null || die "please install, as root: apt-get install --no-install-recommends $*"
        as_root=(sudo -n)
    fi
    local -a apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive timeout 900
        apt-get -q -y -o DPkg::Lock::Timeout=600)
    say "installing: $*"
    "${apt[@]}" install --no-install-recommends "$@" >&2 </dev/null ||
        { "${apt[@]}" update >&2 </dev/null && "${apt[@]}" install --no-install-recommends "$@" >&2 </dev/null; } ||
        die "apt-get could not install: $*"
}
