# forestall: takes a host's facts. A POSIX shell runs it from standard input (`sh -s`).
#
# It reads and never writes: no file is made, nothing is installed, no setting is changed. What it
# reads stands at the end, as a list. It needs no root; what lacks rights is named in the answer.
# Every question to another program is bounded in time and in size, and is killed where it overruns.
#
# The answer is a stream on standard output. Sections begin with a line `@MARK ...`, where MARK was
# chosen at random by whoever asks, so that nothing a host's files say can look like one.
# Nothing runs before the last line has arrived: half a script does nothing.

LC_ALL=C
PATH=${PATH:-/usr/bin:/bin}:/usr/sbin:/sbin:/usr/bin:/bin
SYSTEMD_COLORS=0
SYSTEMD_PAGER=
export LC_ALL PATH SYSTEMD_COLORS SYSTEMD_PAGER
unset GREP_OPTIONS GREP_COLOR GREP_COLORS POSIXLY_CORRECT CDPATH ENV BASH_ENV
umask 077
set -f

newline='
'
# Paths may hold spaces: lists have one a line, all through.
IFS=$newline
mark=${mark:-forestall$$}
sections=0
batch=
batch_count=0
batch_pattern=
folders=

# Begins a section. The line end before it closes what stood there, whatever its last byte was.
section() {
    sections=$((sections + 1))
    echo
    echo "@$mark $1"
}

refused() {
    section denied
    echo "$1"
}

# SECTION WORDS...: runs a reader. What it was not allowed to read follows in a section of its own.
reading() {
    section "$1"
    shift
    {
        denied=$({ "$@" 2>&1 >&3 3>&-; } | grep -E 'ermission denied|not permitted' | head -n 300)
    } 3>&1
    [ -z "$denied" ] || refused "$denied"
}

# Reads the batch of `add`: every line comes with the path of its file in front, so that no line
# can be taken for another file's.
flush() {
    [ -n "$batch" ] || return 0
    # A file that is empty, or has no such line, was read all the same.
    section read
    echo "$batch"
    # shellcheck disable=SC2086 # a list, one path a line
    reading lines grep -aHE "$batch_pattern" $batch
    batch=
    batch_count=0
}

# PATTERN PATH: files are read many at once, as long as the pattern is the same.
add() {
    if [ "$1" != "$batch_pattern" ] || [ "$batch_count" -ge 1000 ]; then flush; fi
    batch_pattern=$1
    batch=$batch$2$newline
    batch_count=$((batch_count + 1))
}

# PATH that is not to be seen: is it not there, or is a folder above it closed to us?
absent() {
    above=$1
    while above=${above%/*} && [ -n "$above" ]; do
        [ -e "$above" ] || continue
        if [ -x "$above" ]; then there "$above"; else refused "$1: Permission denied"; fi
        return 1
    done
    return 1
}

# FOLDER: that it is there, and does not hold what was looked for, is an answer too.
there() {
    case $newline$folders in
    *"$newline$1/$newline"*) ;;
    *) folders=$folders$1/$newline ;;
    esac
}

# GLOB: what it names is left in `found`, one path a line; false where it names nothing.
look() {
    found=
    case $1 in
    *[*?[]*)
        folder=${1%%[*?[]*}
        folder=${folder%/*}
        if [ -d "${folder:-/}" ] && [ ! -r "${folder:-/}" ]; then
            refused "$folder: Permission denied"
            return 1
        fi
        set +f
        # shellcheck disable=SC2086 # a pattern
        set -- $1
        set -f
        if [ $# -eq 1 ] && [ ! -e "$1" ] && [ ! -L "$1" ]; then
            absent "$folder/"
            return 1
        fi
        found="$*"
        ;;
    *)
        [ -e "$1" ] || [ -L "$1" ] || absent "$1" || return 1
        found=$1
        ;;
    esac
}

# PATTERN GLOB: the lines that match (grep -E), of each file.
lines() {
    look "$2" || return 0
    for path in $found; do
        [ ! -f "$path" ] || add "$1" "$path"
    done
}

# BYTES GLOB: the first bytes of each file. Of files only: a named pipe would be waited for.
content() {
    look "$2" || return 0
    for path in $found; do
        [ ! -f "$path" ] || reading "file $path" head -c "$1" "$path"
    done
}

# GLOB: that they are there; a folder ends in a slash.
names() {
    look "$1" || return 0
    section names
    for path in $found; do
        [ ! -d "$path" ] || path=$path/
        echo "$path"
    done
}

# GLOB: what each symbolic link says, in the words of `ls -l`.
links() {
    look "$1" || return 0
    some=
    for path in $found; do
        [ ! -L "$path" ] || some=$some$path$newline
    done
    # shellcheck disable=SC2086 # a list, one path a line
    [ -z "$some" ] || reading links ls -ldn $some
}

# PATTERN PATH: the words that match, of a file of words that end in NUL.
environment() {
    look "$2" || return 0
    reading "file $2" environment_of "$1" "$2"
}

environment_of() {
    head -c 65536 "$2" | tr '\000' '\012' | grep -aE "$1" | tr '\012' '\000'
}

# SECONDS PID [SHELL]: kills the process after that time, and wakes the shell that waits for it.
# TERM ends it, and its sleep with it.
dog() {
    sleep "$1" &
    trap 'kill $! 2>/dev/null; exit 0' TERM
    wait $!
    kill -9 "$2"
    [ -z "${3-}" ] || kill -USR1 "$3"
}

# SECONDS BYTES FILTER WORDS...: what a command answers. The line `exit` comes only if it ended by
# itself and said no more than BYTES. A process that waits for a dead disk cannot even be killed,
# and keeps its output open: so the reader has a dog of its own, and the stream goes on without it.
ask() {
    seconds=$1 bytes=$2 filter=$3
    shift 3
    # `wait` waits for all of a pipeline, but a signal ends it. $$ is the first shell, not this one.
    trap : USR1
    {
        read -r me </proc/self/stat
        {
            "$@" &
            command=$!
            dog "$seconds" $command >/dev/null &
            dog=$!
            wait $command
            status=$?
            kill $dog && [ $status -lt 128 ] && echo && echo "@$mark exit $status"
        } | "$filter" | head -c "$bytes" &
        reader=$!
        dog $((seconds + 2)) $reader "${me%% *}" >/dev/null &
        dog=$!
        wait $reader
        kill $dog
    } 2>/dev/null
}

# Of a unit's environment, which may hold passwords, three names are wanted and no other leaves.
without_secrets() {
    awk '
        !/^Environment=/ { print; next }
        {
            rest = substr($0, 13); kept = ""
            if (match(rest, /(^| )"PGDATA=[^"]*"/)) kept = substr(rest, RSTART, RLENGTH)
            count = split(rest, word, " ")
            for (i = 1; i <= count; i++)
                if (word[i] ~ /^(PG_OOM_ADJUST_FILE|PG_OOM_ADJUST_VALUE|PGDATA)=[^"]*$/)
                    kept = kept " " word[i]
            sub(/^ /, "", kept)
            print "Environment=" kept
        }'
}

# Every process with memory of its own; a kernel thread has none.
processes() {
    set +f
    sizes=$(for path in /proc/[0-9]*; do echo "$path/statm"; done | xargs grep -aHsv '^0 ')
    set -f
    section processes
    echo "$sizes"
    echo "$sizes" | awk -F/ '{ p = "/proc/" $3; print p "/stat"; print p "/oom_score"; print p "/oom_score_adj" }' |
        xargs grep -aHs '' |
        # Of stat, what follows the start time is not wanted, and half of the answer.
        sed 's/^\(.*) [^ ]*\( [^ ]*\)\{19\}\) .*/\1/'
    echo "$sizes" | awk -F/ '{ p = "/proc/" $3; print p "/status"; print p "/cgroup" }' |
        xargs grep -aHsE "$process_lines"
    named=$(echo "$sizes" | awk -F/ '{ print "/proc/" $3 "/comm" }' | xargs grep -aHsE "^($command_names)\$")
    [ -n "$named" ] || return 0
    # The kernel takes a process's memory lock for this file, which may be held for ever.
    answer=$(ask 5 1048576 cat command_lines)
    section words
    echo "$answer"
    homes=$(echo "$named" | grep -E ":($home_names)\$" | sed 's,/comm:.*,/cwd,' | head -n 2000)
    # shellcheck disable=SC2086 # a list, one path a line
    [ -z "$homes" ] || reading links ls -ldn $homes
}

# Command lines may hold passwords: of the words only paths, numbers, a database's own settings, and
# what tells a guard or a monitor from others are kept; any other is a dash. Words end in a byte 31.
command_lines() {
    echo "$named" | sed 's,/comm:.*,/cmdline,' | xargs head -v -c 4096 2>/dev/null | tr '\000' '\037' |
        awk -v wanted="^($command_words)\$" -v settings="$server_words" '
            /^==> \/proc\/[0-9]+\/cmdline <==$/ { path = $2; fresh = 1; next }
            fresh {
                fresh = 0; kept = ""
                count = split($0, word, "\037")
                if (count > 1 && word[count] == "") count--
                for (i = 1; i <= count && i <= 64; i++) {
                    last = word[i]; sub(/^.*\//, "", last)
                    if (word[i] ~ /\\/ || !(last ~ wanted || word[i] ~ /^\/[^=@]*$/ || word[i] ~ settings || word[i] ~ /^[0-9]+([kMGT]?B)?$/))
                        word[i] = "-"
                    kept = kept word[i] "\037"
                }
                print path ":" kept
            }'
}

# The memory cgroup of the reader and each above it, which is what binds inside a container; and the
# names of the groups that processes are in.
cgroups() {
    groups=$(echo "$sizes" | awk -F/ '{ print "/proc/" $3 "/cgroup" }' |
        xargs grep -ahsE '^[0-9]+:(.*,)?memory[,:]|^0::' | sort -u)
    mounts=$(awk '{
        for (i = 7; i < NF; i++) if ($i == "-") break
        if ($(i + 1) == "cgroup2") print "v2:" $4 ":" $5
        if ($(i + 1) == "cgroup" && $(i + 3) ~ /(^|,)memory(,|$)/) print "v1:" $4 ":" $5
    }' /proc/self/mountinfo 2>/dev/null)
    for mount in $mounts; do
        version=${mount%%:*}
        mount=${mount#*:}
        point=${mount#*:}
        case $version in
        v1) path=$(sed -n '/^[0-9]*:\(.*,\)\{0,1\}memory[,:]/s/^[^:]*:[^:]*://p' /proc/self/cgroup 2>/dev/null) ;;
        *) path=$(sed -n 's/^0:://p' /proc/self/cgroup 2>/dev/null) ;;
        esac
        [ "${mount%%:*}" = / ] || path=${path#"${mount%%:*}"}
        [ -d "$point$path" ] || path=
        path=${path%/}
        depth=0
        while [ $depth -lt 32 ]; do
            for name in $cgroup_files; do
                [ ! -f "$point$path/$name" ] || add '' "$point$path/$name"
            done
            [ -n "$path" ] || break
            path=${path%/*}
            depth=$((depth + 1))
        done
        # Which of the other processes' groups can be seen from here.
        section names
        for path in $groups; do
            case $version:$path in
            v1:0::* | v2:[1-9]*) continue ;;
            esac
            path=${path#*:}
            path=${path#*:}
            [ "${mount%%:*}" = / ] || path=${path#"${mount%%:*}"}
            [ ! -d "$point$path" ] || echo "$point$path/"
        done
    done
    flush
}

# The settings of each PostgreSQL, and what they include.
postgres() {
    places=$(
        # shellcheck disable=SC2086 # a list, one path a line
        [ -z "$homes" ] || ls -ldn $homes 2>/dev/null | sed -n 's/^.* -> //p'
        echo "$answer" | tr '\037' '\012' | awk '
            place { print; place = 0; next }
            /^-D$/ { place = 1 }
            /^-D\// { print substr($0, 3) }
            /^--data[_-]directory=/ { sub(/^[^=]*=/, ""); print }'
    )
    files=$(echo "$answer" | tr '\037' '\012' | sed -n 's/^-*config[_-]file=//p')
    for place in $(echo "$places" | grep '^/' | sort -u | head -n 20); do
        files=$files$newline$place/postgresql.conf$newline$place/postgresql.auto.conf
    done
    for path in $(echo "$files" | grep '^/'); do
        files="$files$newline${path%/*}/conf.d/*.conf"
    done
    level=0
    while [ -n "$files" ] && [ $level -lt 10 ]; do
        included=
        for place in $(echo "$files" | grep '^/' | sort -u | head -n 60); do
            case $place in */conf.d/*) ;; *'/*.conf') names "${place%/*}" ;; esac
            look "$place" || continue
            for path in $found; do
                lines "$postgres_lines" "$path"
                [ ! -f "$path" ] || included=$included$newline$(included "$path")
            done
        done
        files=$included
        level=$((level + 1))
    done
    flush
}

# PATH of settings: the files that it includes, as globs.
included() {
    sed -n "s/^[[:space:]]*\\(include[a-z_]*\\)[[:space:]=]*'\\{0,1\\}\\([^'#]*\\).*/\\1 \\2/p" "$1" 2>/dev/null |
        sed 's/[[:space:]]*$//' | head -n 20 |
        while read -r line; do
            other=${line#* }
            case $other in /*) ;; *) other=${1%/*}/$other ;; esac
            case $line in include_dir*) other="$other/*.conf" ;; esac
            echo "$other"
        done
}

# SECONDS BYTES FILTER WORDS...: a command, where there is one.
question() {
    command -v "$4" >/dev/null 2>&1 || return 0
    section "command $4 $5"
    ask "$@"
}

# The sizes of file systems on this host's own disks and in its memory; a network's may hang.
file_systems() {
    # shellcheck disable=SC2046 # a list, one path a line
    set -- $(awk -v kinds="^($local_kinds)\$" '{
        for (i = 7; i < NF; i++) if ($i == "-") break
        if ($(i + 1) ~ kinds && $5 !~ /\\/ && ($(i + 1) != "overlay" || $5 == "/")) print $5
    }' /proc/self/mountinfo 2>/dev/null | sort -u | head -n 500)
    [ $# -eq 0 ] || question 5 262144 cat df -P -k "$@"
}

# GLOB...: the packages of kernels, only where the folders of kernels cannot be listed.
packages() {
    for place; do
        look "$place" && return
    done
    question 5 262144 cat rpm -qa 'kernel*'
    # shellcheck disable=SC2016 # dpkg-query's own words
    question 5 262144 cat dpkg-query -W '-f=${db:Status-Abbrev} ${Package} ${Version}\n' 'linux-image-*'
}

host() {
    section host
    echo "at $(date +%s)"
    echo "uid $(id -u)"
    echo "shell $$"
    echo "machine $(uname -m)"
    echo "page_kib $(grep -m 1 KernelPageSize /proc/self/smaps 2>/dev/null | tr -dc 0-9)"
}

# What the answer is made with, tried once: without one of them a host would look like less.
works() {
    tried=$(echo 'a b' | grep -aE '^a' | sed 's/a/x/' | sort -u | awk '{ print $2 }' | tr b c | xargs echo | head -c 1)
    [ "$tried" = c ]
}

missing() {
    for tool in awk grep head ls sed sort tr xargs; do
        command -v $tool >/dev/null 2>&1 || printf ' %s' $tool
    done
}

gather() {
    if ! works; then
        section "lacks$(missing)"
        return
    fi
    host
    places
    flush
    processes
    cgroups
    postgres
    commands
    section names
    echo "$folders"
    section "end $sections"
}

forestall() {
    # Whatever is left hanging must not hold the connection open.
    [ -n "${debug-}" ] || exec 2>/dev/null
    echo
    if command -v gzip >/dev/null 2>&1; then
        echo "@$mark forestall 1 gzip"
        gather | gzip -c
    else
        echo "@$mark forestall 1 plain"
        gather
    fi
}
