delete from unfinished_files;
