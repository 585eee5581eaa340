# can_keep FILE: what is learned from here on can be written to the file, and what stands in it stays.
can_keep() {
  local probe
  if [ -L "$1" ] || { [ -e "$1" ] && [ ! -f "$1" ]; }; then say "$1 is not a regular file"; exit 1; fi
  if [ -e "$1" ] && [ ! -r "$1" ]; then say "$1 cannot be read: nothing was done"; exit 1; fi
  if ! probe=$(mktemp "$1.XXXXXX"); then say "$1 cannot be written: nothing was done"; exit 1; fi
  rm -f "$probe"
}

# same_tenant: the sign-in must be for the tenant that the plan was made for.
same_tenant() {
  local answer found
  answer=$(call GET "/organization?\$select=id")
  found=$(pick id "$answer")
  if [ "$found" != "$TENANT" ]; then say "this is a plan for the tenant $TENANT, and the sign-in is for another"; exit 1; fi
}

# own_state: what another plan wrote is not overwritten.
own_state() {
  if [ -e "$STATE_FILE" ] && ! grep -qF "$DEPLOYMENT" "$STATE_FILE"; then
    say "$STATE_FILE is of another plan: move it away, or make a new plan beside it"
    exit 1
  fi
}

# nothing_yet ROLE: an application that somebody registered since the plan was made is not registered twice.
nothing_yet() {
  local answer
  answer=$(call GET "/applications?\$filter=tags/any(t:t%20eq%20'onbehalf:name:${NAME// /%20}')&\$select=id,tags")
  case $answer in
    *"\"onbehalf:role:$1\""*) say "there is an application of $NAME already that this plan does not know: make a new plan"; exit 1 ;;
  esac
}

# uri_refused URI: says what follows when the tenant refuses an App ID URI.
uri_refused() {
  say "! $1: the tenant refuses it as App ID URI; clients that send the server's URL as resource cannot sign in (AADSTS9010010)"
  refused="[\"$1\"]"
}

# set_env NAME VALUE: sets a line of the settings file and leaves the others as they are. Where they cannot be read, the file
# stays as it is.
set_env() {
  local new status=0
  new=$(mktemp "$ENV_FILE.XXXXXX")
  if [ -e "$ENV_FILE" ]; then grep -vE "^[[:space:]]*(export[[:space:]]+)?$1[[:space:]]*[=:]" "$ENV_FILE" >"$new" || status=$?; fi
  if [ "$status" -gt 1 ]; then # 1: no other line
    rm -f "$new"
    say "$ENV_FILE cannot be read: $1 was not written, and the file stays as it is"
    exit 1
  fi
  if [ -n "$2" ]; then printf '%s=%s\n' "$1" "$2" >>"$new"; fi
  mv "$new" "$ENV_FILE"
}

# save_state APPLIED: writes the ids that are known by now, and what was done when it was done to its end.
save_state() {
  local name value ids='' new
  for name in api_app api_object api_sp api_secret_key client_app client_object client_sp agent_app agent_object agent_sp agent_secret_key execute_scope search_sp search_scope graph_sp; do
    value=${!name:-}
    if [ -n "$value" ]; then ids="$ids${ids:+,}\"$name\":\"$value\""; fi
  done
  new=$(mktemp "$STATE_FILE.XXXXXX")
  printf '{"version":1,"tenant":"%s","name":"%s","deployment":"%s","ids":{%s},"choices":%s,"refusedUris":%s,"applied":"%s"}\n' "$TENANT" "$NAME" "$DEPLOYMENT" "$ids" "$choices" "$refused" "$1" >"$new"
  mv "$new" "$STATE_FILE"
}
