# The token of whoever runs this: the Azure CLI's, unless GRAPH_TOKEN holds one. It stands in no command line.
if [ -z "${GRAPH_TOKEN:-}" ]; then
  GRAPH_TOKEN=$(az account get-access-token --resource "$RESOURCE" --tenant "$TENANT" --query accessToken --output tsv)
fi

# request METHOD PATH [BODY]: one request; prints the answer and, on a line of its own, the status.
request() {
  curl --silent --show-error --globoff --max-time 60 --config <(printf 'header = "Authorization: Bearer %s"\n' "$GRAPH_TOKEN") \
    --request "$1" --header 'Content-Type: application/json' ${3:+--data-binary "$3"} --write-out '\n%{http_code}' "$GRAPH$2"
}
