select count(*) from unfinished_files;
