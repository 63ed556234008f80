# SPDX-License-Identifier: LGPL-2.1-or-later
# Installs what is missing of packages.debian. Sourced by ./try and ./check (bash).

# Lines "PACKAGE GIVES..." of the sections named, from the file $1.
packages_list()
{
    local file=$1 section= wanted line
    shift
    wanted=" $* "
    while IFS= read -r line || [ -n "$line" ]; do
        line=${line%%#*}
        case $line in
            *[![:space:]]*:) section=${line%:} ;;
            *[![:space:]]*) [[ $wanted == *" $section "* ]] && printf '%s\n' "$line" ;;
        esac
    done < "$file"
    return 0
}

# One thing that a package gives ("cmd:gcc"): is it there?
packages_has()
{
    local name=${1#*:}

    case $1 in
        # Debian keeps daemons where an ordinary user's PATH does not look.
        cmd:*) PATH=$PATH:/usr/sbin:/sbin command -v "$name" > /dev/null ;;
        pc:*) command -v pkg-config > /dev/null && pkg-config --exists "$name" ;;
        py:*) PATH=/usr/bin:$PATH python3 -c "import $name" 2> /dev/null ;;
        *) echo "packages.debian: \"$1\" is neither cmd: nor pc: nor py:" >&2; return 1 ;;
    esac
}

# No apt: name what is missing and fail, or succeed in silence.
packages_require()
{
    local package gives thing missing=()

    while read -r package gives; do
        for thing in $gives; do
            packages_has "$thing" || missing+=("$thing (on Debian: $package)")
        done
    done
    if [ ${#missing[@]} -gt 0 ]; then
        echo "This machine has no apt-get, and these are missing:" >&2
        printf '  %s\n' "${missing[@]}" >&2
        echo "(cmd: a command, pc: a pkg-config module, py: a Python module.) Install them and try again." >&2
        return 1
    fi
}

# Runs apt-get as root.
packages_apt_get()
{
    local become=()

    if [ "$(id -u)" != 0 ]; then
        become=(sudo)
        # Without a terminal nobody can answer sudo's question.
        [ -t 0 ] || become=(sudo -n)
    fi
    "${become[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y "$@" < /dev/null
}

packages_can_become_root()
{
    [ "$(id -u)" = 0 ] && return 0
    command -v sudo > /dev/null || return 1
    [ -t 0 ] || sudo -n true 2> /dev/null
}

# packages_install TOP SECTION...: whatever of these sections is missing, and nothing else.
packages_install()
{
    local top=$1 list names missing=() name
    shift
    list=$(packages_list "$top/packages.debian" "$@")
    if ! command -v apt-get > /dev/null || ! command -v dpkg-query > /dev/null; then
        packages_require <<< "$list"
        return
    fi

    names=$(awk '{ print $1 }' <<< "$list" | sort -u)
    for name in $names; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2> /dev/null)" = installed ] || missing+=("$name")
    done
    [ ${#missing[@]} -gt 0 ] || return 0

    if ! packages_can_become_root; then
        echo "Debian packages are missing, and installing them needs root. As root, run:" >&2
        echo "  apt-get install --no-install-recommends ${missing[*]}" >&2
        echo "(or allow this account to use sudo; without a terminal: without a password)." >&2
        return 1
    fi
    echo "Installing: ${missing[*]}"
    # The lists are fetched only when there are none, or when what they say turns out to be stale.
    if ! apt-cache show "${missing[@]}" > /dev/null 2>&1 ||
        ! packages_apt_get install --no-install-recommends "${missing[@]}"; then
        packages_apt_get update &&
            packages_apt_get install --no-install-recommends "${missing[@]}" || {
            echo "Could not install: ${missing[*]}. The messages above say why." >&2
            return 1
        }
    fi
}
