#!/bin/sh
# Creates Temporal's two databases, or brings their schema up to the version of this image.
# Can be run again at any time; a server of the version before goes on meanwhile.
set -eu

# Where and as whom: SQL_HOST, SQL_PORT, SQL_USER, SQL_PASSWORD.
export SQL_PLUGIN=postgres12

bring_up() {
  database=$1 schema=$2
  echo "schema: $database"
  temporal-sql-tool --database "$database" create-database
  temporal-sql-tool --database "$database" setup-schema --version 0.0
  temporal-sql-tool --database "$database" update-schema --schema-name "postgresql/v12/$schema"
}

bring_up temporal temporal
bring_up temporal_visibility visibility
