/* Which sheets give their fields as options to which commands. */
#include "core/sheets/private.h"
#include "tui/command/families.h"

const struct sheet *const command_sheet_server = &sheet_server;
const struct sheet *const command_sheet_certificate = &sheet_certificate;
const struct sheet *const command_sheet_authority = &sheet_authority;
const struct sheet *const command_sheet_connector = &sheet_connector;
