# bash completion for cofferdam                            -*- shell-script -*-
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The command itself knows what could follow. Names of strangers never come to where the shell would evaluate them.

_cofferdam()
{
    local line=${COMP_LINE:0:COMP_POINT} gap word raw last i words=() lines=() kept
    COMPREPLY=()

    # bash takes words apart at = and : (COMP_WORDBREAKS); what has no blank between is one word again.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        gap=${line%%[![:space:]]*}
        line=${line#"$gap"}
        raw=${COMP_WORDS[i]}
        ((i < COMP_CWORD)) || raw=$line
        line=${line#"$raw"}
        word=$raw
        [[ $word == \'*\' || $word == \"*\" ]] && word=${word:1:-1}
        if ((i == 1)) || [[ $i -gt 1 && -n $gap ]]; then
            words+=("$word")
        elif ((i > 1)); then
            words[-1]+=$word
        fi
    done
    ((${#words[@]})) || return 0

    mapfile -t lines < <(command cofferdam __complete -- "${words[@]}" 2>/dev/null)
    case ${lines[0]-} in
        :files) compopt -o default; return 0 ;;
        :folders) compopt -o default -o dirnames; return 0 ;;
    esac

    # What readline replaces is the part behind the last = or : alone.
    last=${words[-1]}
    [[ $raw == [=:]* && ${#raw} -eq 1 ]] && raw=
    kept=${last%"$raw"}
    for line in "${lines[@]}"; do
        word=${line%%$'\t'*}
        printf -v word %q "${word#"$kept"}"
        COMPREPLY+=("$word")
        [[ $word == *= ]] && compopt -o nospace
    done
    return 0
}

complete -F _cofferdam cofferdam
