select digest from view_state;
